"""The documentation page of a contract, in Vietnamese or English, for developers.

Operations, example calls, fields, code tables with validity, what each face enforces, formats with their losses,
samples. Plain HTML without script.
Invariant: every text is escaped, because a contract may come from another agency.
"""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from typing import Final

from contracts.base.phrases import vietnamese
from contracts.base.words import Language
from contracts.canonical.model import Array, Choice, Scalar, Struct, Type, group
from contracts.canonical.personal import NONE
from contracts.canonical.validate import describe
from contracts.compiled.contract import CompiledContract
from contracts.faces.identities import sentences
from contracts.faces.pages.calls import calls
from contracts.faces.pages.rules import enforced, samples
from contracts.faces.pages.words import fill, head, say, table
from contracts.faces.pages.workflow import handling

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 "
    "1rem;color:#1b1b1b;background:#fff}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0;display:block;overflow-x:auto}th,td{border:1px solid "
    "#c8c8c8;padding:.35rem .6rem;text-align:left;vertical-align:top}"
    "th{background:#eef2f5}pre{background:#f5f5f5;padding:.8rem;overflow:auto}"
    ".drawing{overflow-x:auto}code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}.over{color:#8a1c1c}"
)


def to_site(language: Language, site: str | None) -> str:
    """Links to the documentation site, which the listener for people serves. `site`: what their addresses begin with,
    empty on that listener itself; None: no link.
    """
    if site is None:
        return ""
    root = f"{site}/docs/{language}"
    links = ((root, "site"), (f"{root}/in-force", "site.contracts"), (f"{root}/errors", "site.errors"))
    shown = (f'<a href="{escape(address)}">{say(word, language)}</a>' for address, word in links)
    return f"<nav><p>{' · '.join(shown)}</p></nav>"


def page(
    compiled: CompiledContract, language: Language, base: str, programs: Collection[str] = (), site: str | None = None
) -> str:
    """The page as HTML. `base` is the public base address. `programs`: those that are served to make a call with.
    `site`: as `to_site` takes it.

    The documents are linked by path alone: each listener that serves the page serves them too.
    """
    contract, root = compiled.contract, base.rstrip("/")
    other: Language = "en" if language == "vi" else "vi"
    here, soap = f"/contracts/{contract.name}", f"/soap/{contract.name}"
    what_changed = (say("changes", language), f"{site}/docs/{language}/changes/{contract.name}")
    faces = (
        (say("calls-rest", language), f"{here}/operations?lang={language}"),
        *((what_changed,) if site is not None else ()),
        ("OpenAPI", f"{here}/openapi.json"),
        ("WSDL", f"{soap}?wsdl"),
        ("XSD", f"{soap}?xsd"),
        ("JSON Schema", f"{here}/schema.json"),
        (say("tables", language), f"{here}/codes.json"),
        *((("AsyncAPI", f"{here}/asyncapi.json"),) if contract.fed else ()),
        (say("samples", language), f"{here}/samples"),
        ("DCAT", f"{here}/dcat.jsonld"),
    )
    legal = "".join(f"<li>{escape(each)}</li>" for each in contract.legal_basis)
    parts = [
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width">',
        f"<title>{escape(contract.title.say(language, {}))}</title><style>{STYLE}</style></head><body>",
        to_site(language, site),
        f"<h1>{escape(contract.title.say(language, {}))} <small><code>{escape(contract.name)}</code></small></h1>",
        f"<p>{escape(contract.description.say(language, {}))}</p>",
        f"<p>{say('version', language)} {escape(contract.version)}, <code>{escape(compiled.digest)}</code>.</p><p>",
        " · ".join(f'<a href="{escape(address)}">{escape(name)}</a>' for name, address in faces),
        f' · <a href="{escape(here)}?lang={other}" '
        f'hreflang="{other}">{"English" if other == "en" else "Tiếng Việt"}</a></p>',
        f"<h2>{say('legal', language)}</h2><ul>{legal}</ul>",
        f"<h2>{say('protection', language)}</h2><p>{say(contract.protection, language)}</p>",
        *_operations(compiled, language, root),
        *_identities(compiled, language),
        *handling(compiled, language),
        *calls(compiled, language, root, programs),
    ]
    seen: set[str] = set()
    for name in compiled.exchanged:
        _struct(compiled.messages[name], language, seen, parts)
    parts += _tables(compiled, language)
    parts += enforced(language)
    parts += _formats(compiled, language, here)
    parts += samples(compiled, language, here)
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _operations(compiled: CompiledContract, language: Language, root: str) -> list[str]:
    rows = []
    for op in compiled.contract.operations.values():
        rows.append(
            (
                f"<code>{escape(op.name)}</code><br>{escape(op.title.say(language, {}))}",
                escape(op.pattern),
                f"<code>{escape(f'{op.method} {root}/{compiled.contract.name}{op.path}')}</code>",
                f'<a href="#{escape(op.request)}">{escape(op.request)}</a>',
                f'<a href="#{escape(op.answer)}">{escape(op.answer)}</a>',
            )
        )
    return [
        f"<h2>{say('operations', language)}</h2>",
        table(head(("name", "pattern", "address", "request", "answer"), language), rows),
    ]


def _identities(compiled: CompiledContract, language: Language) -> list[str]:
    """Business keys: what a repeat, a correction and a recall are."""
    parts = []
    for op in compiled.contract.operations.values():
        rules = "".join(f"<li>{escape(fill(name, language, facts))}</li>" for name, facts in sentences(op))
        if rules:
            parts.append(f"<h3><code>{escape(op.name)}</code></h3><ul>{rules}</ul>")
    return [f"<h2>{say('identity', language)}</h2>", *parts] if parts else []


def _struct(struct: Struct, language: Language, seen: set[str], parts: list[str]) -> None:
    if struct.name in seen:
        return
    seen.add(struct.name)
    parts.append(f'<h2 id="{escape(struct.name)}"><code>{escape(struct.name)}</code> {escape(struct.title)}</h2>')
    if struct.description:
        parts.append(f"<p>{escape(struct.description)}</p>")
    below: list[Struct] = []
    rows = []
    for field in struct.fields:
        rules = [_rule(field.type, language)]
        if field.required:
            rules.append(f"<strong>{say('required', language)}</strong>")
        if field.absentable:
            rules.append(say("absentable", language))
        if field.personal not in (None, NONE):
            rules.append(say(f"personal.{field.personal}", language))
        meaning = escape(". ".join(each for each in (field.title, field.description) if each))
        rows.append((f"<code>{escape(field.name)}</code>", meaning, "; ".join(rules)))
        inner = group(field.type)
        if inner is not None:
            below.append(inner)
    parts.append(table(head(("field", "meaning", "rule"), language), rows))
    for each in below:
        _struct(each, language, seen, parts)


def _translated(text: str, language: Language) -> str:
    return vietnamese(text) if language == "vi" else text


def _rule(type_: Type, language: Language) -> str:
    inner = type_.items if isinstance(type_, Array) else type_
    if isinstance(inner, Scalar):
        text = escape(_translated(describe(inner), language))
    else:
        text = f'<a href="#{escape(inner.name)}">{escape(inner.name)}</a>'
        if isinstance(inner, Choice):
            text += escape(
                ": "
                + "; ".join(
                    f"{', '.join(each.values)}: {', '.join(f.name for f in each.struct.fields)}"
                    for each in inner.branches
                )
            )
    return f"{escape(_translated(describe(type_), language))}: {text}" if isinstance(type_, Array) else text


def _tables(compiled: CompiledContract, language: Language) -> list[str]:
    """Each code with its words, validity and successor."""
    parts = [f"<h2>{say('tables', language)}</h2>"]
    for each in compiled.tables.values():
        dated = any(row.valid_from or row.valid_until or row.replaced_by for row in each.rows)
        rows = []
        for row in each.rows:
            code = escape(row.code) if row.canonical is None else f"{escape(row.code)} ↔ {escape(row.canonical)}"
            shown = f"<code{' class=over' if row.valid_until else ''}>{code}</code>"
            cells = (shown, escape(row.vi if language == "vi" else row.en))
            rows.append(
                (*cells, escape(row.valid_from), escape(row.valid_until), escape(row.replaced_by)) if dated else cells
            )
        words = ("code", "meaning", "from", "until", "successor") if dated else ("code", "meaning")
        parts += [f"<h3><code>{escape(each.name)}</code></h3>", table(head(words, language), rows)]
    return parts


def _formats(compiled: CompiledContract, language: Language, here: str) -> list[str]:
    """Each foreign format: its client documents, and for each message its losses."""
    leaves = {"xml": ("service.wsdl", "schema.xsd"), "json": ("openapi.json",)}
    parts = [f"<h2>{say('formats', language)}</h2>"]
    for codec in compiled.formats.values():
        if not codec.plans:
            continue
        links = (
            f'<a href="{escape(f"{here}/formats/{codec.name}/{leaf}")}">{leaf}</a>'
            for leaf in leaves.get(codec.media, ())
        )
        parts.append(f"<h3><code>{escape(codec.name)}</code> ({codec.media}) {' · '.join(links)}</h3>")
        for message, plan in codec.plans.items():
            lost = (
                "".join(f"<li>{escape(_translated(each, language))}</li>" for each in plan.losses)
                or f"<li>{say('nothing', language)}</li>"
            )
            parts.append(f"<h4>{escape(message)}</h4><p>{say('loses', language)}:</p><ul>{lost}</ul>")
    return parts
