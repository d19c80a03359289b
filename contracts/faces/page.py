"""The documentation page of a contract, in Vietnamese or English: operations, fields, code tables, formats with what they lose, samples.

Plain HTML without script; every text is escaped, since a contract may come from another agency.
"""

from __future__ import annotations

from html import escape
from typing import Final

from contracts.base.errors import Language
from contracts.compiled import CompiledContract
from contracts.faces.xsd import LEXICAL_DIFFERENCES
from contracts.model import Choice, Many, Scalar, Struct, Type, group
from contracts.validate import describe

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "operations": ("Thao tác", "Operations"),
    "name": ("Tên", "Name"),
    "pattern": ("Kiểu", "Pattern"),
    "address": ("Địa chỉ", "Address"),
    "request": ("Gửi", "Request"),
    "answer": ("Trả lời", "Answer"),
    "field": ("Trường", "Field"),
    "meaning": ("Ý nghĩa", "Meaning"),
    "rule": ("Quy tắc", "Rule"),
    "required": ("bắt buộc", "required"),
    "absentable": ("có thể vắng, kèm lý do", "may be absent, with a reason"),
    "tables": ("Bảng mã", "Code tables"),
    "code": ("Mã", "Code"),
    "formats": ("Định dạng riêng", "Formats of systems"),
    "loses": ("Những gì mất khi chuyển đổi", "What is lost on the way"),
    "nothing": ("không mất gì", "nothing"),
    "samples": ("Mẫu", "Samples"),
    "stricter": ("Cổng chặt hơn XSD ở những điểm sau", "Where the gateway is stricter than the XSD"),
    "legal": ("Căn cứ pháp lý", "Legal basis"),
    "version": ("Phiên bản", "Version"),
}

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{border:1px solid #c8c8c8;padding:.35rem .6rem;text-align:left;vertical-align:top}"
    "th{background:#eef2f5}pre{background:#f5f5f5;padding:.8rem;overflow:auto}code{font-family:ui-monospace,monospace}"
)


def page(compiled: CompiledContract, language: Language, base: str) -> str:
    contract = compiled.contract
    other: Language = "en" if language == "vi" else "vi"
    here = f"{base.rstrip('/')}/contracts/{contract.name}"
    parts = [
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(contract.title.say(language, {}))}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(contract.title.say(language, {}))} <small><code>{escape(contract.name)}</code></small></h1>",
        f"<p>{escape(contract.description.say(language, {}))}</p>",
        f"<p>{_say('version', language)} {escape(contract.version)}, <code>{escape(compiled.digest)}</code>. ",
        f'<a href="{escape(here)}/openapi.json">OpenAPI</a> · <a href="{escape(base.rstrip("/"))}/soap/{escape(contract.name)}?wsdl">WSDL</a> · ',
        f'<a href="{escape(base.rstrip("/"))}/soap/{escape(contract.name)}?xsd">XSD</a> · <a href="{escape(here)}/schema.json">JSON Schema</a> · ',
        f'<a href="{escape(here)}?lang={other}" hreflang="{other}">{"English" if other == "en" else "Tiếng Việt"}</a></p>',
        f"<h2>{_say('legal', language)}</h2><ul>{''.join(f'<li>{escape(each)}</li>' for each in contract.legal_basis)}</ul>",
        *_operations(compiled, language, base),
    ]
    seen: set[str] = set()
    for name in compiled.exchanged:
        _struct(compiled.messages[name], language, seen, parts)
    parts += _tables(compiled, language)
    parts += _formats(compiled, language)
    differences = "".join(f"<li>{escape(vi if language == 'vi' else en)}</li>" for vi, en in LEXICAL_DIFFERENCES)
    parts.append(f"<h2>{_say('stricter', language)}</h2><ul>{differences}</ul>")
    parts.append(f"<h2>{_say('samples', language)}</h2>")
    parts += [
        f"<h3>{escape(each.message)}: {escape(each.name)} (<code>{escape(each.format)}</code>)</h3><pre><code>{escape(each.text or each.file)}</code></pre>"
        for each in compiled.samples
    ]
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _say(word: str, language: Language) -> str:
    return _WORDS[word][0 if language == "vi" else 1]


def _head(words: tuple[str, ...], language: Language) -> str:
    return "<tr>" + "".join(f'<th scope="col">{_say(word, language)}</th>' for word in words) + "</tr>"


def _operations(compiled: CompiledContract, language: Language, base: str) -> list[str]:
    rows = [_head(("name", "pattern", "address", "request", "answer"), language)]
    for op in compiled.contract.operations.values():
        at = f"{op.method} {base.rstrip('/')}/{compiled.contract.name}{op.path}"
        rows.append(
            f"<tr><td><code>{escape(op.name)}</code><br>{escape(op.title.say(language, {}))}</td><td>{escape(op.pattern)}</td>"
            f'<td><code>{escape(at)}</code></td><td><a href="#{escape(op.request)}">{escape(op.request)}</a></td>'
            f'<td><a href="#{escape(op.answer)}">{escape(op.answer)}</a></td></tr>'
        )
    return [f"<h2>{_say('operations', language)}</h2><table>", *rows, "</table>"]


def _struct(made: Struct, language: Language, seen: set[str], parts: list[str]) -> None:
    if made.name in seen:
        return
    seen.add(made.name)
    parts.append(f'<h2 id="{escape(made.name)}"><code>{escape(made.name)}</code> {escape(made.title)}</h2>')
    if made.description:
        parts.append(f"<p>{escape(made.description)}</p>")
    parts.append("<table>" + _head(("field", "meaning", "rule"), language))
    below: list[Struct] = []
    for field in made.fields:
        rules = [_rule(field.type)]
        if field.required:
            rules.append(f"<strong>{_say('required', language)}</strong>")
        if field.absentable:
            rules.append(_say("absentable", language))
        parts.append(
            f"<tr><td><code>{escape(field.name)}</code></td><td>{escape('. '.join(each for each in (field.title, field.description) if each))}</td>"
            f"<td>{'; '.join(rules)}</td></tr>"
        )
        inner = group(field.type)
        if inner is not None:
            below.append(inner)
    parts.append("</table>")
    for each in below:
        _struct(each, language, seen, parts)


def _rule(made: Type) -> str:
    inner = made.items if isinstance(made, Many) else made
    if isinstance(inner, Scalar):
        said = escape(describe(inner))
    else:
        said = f'<a href="#{escape(inner.name)}">{escape(inner.name)}</a>'
        if isinstance(inner, Choice):
            said += ": " + "; ".join(
                f"{', '.join(branch.values)}: {', '.join(f.name for f in branch.struct.fields)}" for branch in inner.branches
            )
    return f"{escape(describe(made))}: {said}" if isinstance(made, Many) else said


def _tables(compiled: CompiledContract, language: Language) -> list[str]:
    parts = [f"<h2>{_say('tables', language)}</h2>"]
    for table in compiled.tables.values():
        parts.append(f"<h3><code>{escape(table.name)}</code></h3><table>" + _head(("code", "meaning"), language))
        for row in table.rows:
            code = escape(row.code) if row.canonical is None else f"{escape(row.code)} ↔ {escape(row.canonical)}"
            parts.append(f"<tr><td><code>{code}</code></td><td>{escape(row.vi if language == 'vi' else row.en)}</td></tr>")
        parts.append("</table>")
    return parts


def _formats(compiled: CompiledContract, language: Language) -> list[str]:
    parts = [f"<h2>{_say('formats', language)}</h2>"]
    for codec in compiled.formats.values():
        for message, plan in codec.plans.items():
            lost = "".join(f"<li>{escape(each)}</li>" for each in plan.losses) or f"<li>{_say('nothing', language)}</li>"
            parts.append(
                f"<h3><code>{escape(codec.name)}</code> ({codec.media}): {escape(message)}</h3><p>{_say('loses', language)}:</p><ul>{lost}</ul>"
            )
    return parts
