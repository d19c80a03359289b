"""Sections of the documentation page: enforcement by each face, and samples for each rule."""

from __future__ import annotations

from html import escape
from typing import Final

from contracts.base.words import Language
from contracts.compiled.contract import CompiledContract
from contracts.faces.foreign.differences import DIFFERENCES
from contracts.faces.pages.words import head, say, table
from contracts.faces.samples import generated

_FACES: Final = ("JSON Schema", "OpenAPI", "XSD")
# Rule, and the faces that enforce it. The gateway enforces all.
_RULES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("names", _FACES),
    ("types", _FACES),
    ("codes", _FACES),
    ("absence", _FACES),
    ("items", _FACES),
    ("order", ("XSD",)),
    ("calendar", ("XSD",)),
    ("validity", ()),
    ("security", ()),
)


def enforced(language: Language) -> list[str]:
    rows = [
        (escape(say(f"rule.{rule}", language)), *("✓" if face in faces else "–" for face in _FACES), "✓")
        for rule, faces in _RULES
    ]
    stricter = [(escape(each.says.of(language)), ", ".join(each.faces)) for each in DIFFERENCES]
    return [
        f"<h2>{say('enforced', language)}</h2>",
        table([say("rule", language), *_FACES, say("gateway", language)], rows),
        f"<h3>{say('stricter', language)}</h3>",
        "<ul>" + "".join(f"<li>{words} ({faces})</li>" for words, faces in stricter) + "</ul>",
    ]


def samples(compiled: CompiledContract, language: Language, here: str) -> list[str]:
    samples_ = generated(compiled)
    parts = [
        f"<h2>{say('samples', language)}</h2><p><a "
        f'href="{escape(here)}/samples"><code>{escape(here)}/samples</code></a></p>'
    ]
    parts.append(f"<h3>{say('given', language)}</h3>")
    parts += [
        _shown(f"{each.message}: {each.name} ({each.format})", each.text or each.file) for each in compiled.samples
    ]
    parts.append(f"<h3>{say('valid', language)}</h3>")
    parts += [
        _shown(f"{each.message}: {each.name} ({each.media})", each.content.decode())
        for each in samples_
        if not each.rule
    ]
    rows = [
        (
            escape(each.message),
            f"<code>{escape(each.path) or '/'}</code>",
            f"<code>{each.rule}</code>",
            escape(each.name),
            each.media,
        )
        for each in samples_
        if each.rule
    ]
    parts.append(f"<h3>{say('invalid', language)}</h3>")
    return [*parts, table([*head(("message", "where", "rule", "name"), language), ""], rows)]


def _shown(title: str, text: str) -> str:
    return f"<details><summary>{escape(title)}</summary><pre><code>{escape(text)}</code></pre></details>"
