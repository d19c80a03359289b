"""What the documentation page says of enforcement and of samples: who checks what, where the gateway is stricter, one sample for each rule."""

from __future__ import annotations

from html import escape
from typing import Final

from contracts.base.errors import Language, Words
from contracts.compiled.contract import CompiledContract
from contracts.faces.foreign.differences import DIFFERENCES
from contracts.faces.pages.words import head, say, table
from contracts.faces.samples import generated

_FACES: Final = ("JSON Schema", "OpenAPI", "XSD")
# Rule, and the faces that hold it as well; the gateway holds all of them.
_RULES: Final[tuple[tuple[Words, tuple[str, ...]], ...]] = (
    (Words("Tên trường, trường bắt buộc, không có trường lạ", "Names, required fields, no others"), _FACES),
    (Words("Kiểu, độ dài, mẫu, giới hạn số", "Types, lengths, patterns, bounds"), _FACES),
    (Words("Danh sách mã", "Lists of codes"), _FACES),
    (Words("Lý do vắng mặt", "Reasons for absence"), _FACES),
    (Words("Số phần tử của danh sách", "Numbers of items"), _FACES),
    (Words("Thứ tự phần tử", "Order of elements"), ("XSD",)),
    (Words("Ngày có trong lịch", "Days that are in the calendar"), ("XSD",)),
    (Words("Hiệu lực của mã theo thời gian", "Validity of codes in time"), ()),
    (Words("Chữ ký, chứng thư, quyền, thời hạn, gửi lại", "Signature, certificate, grant, freshness, repetition"), ()),
)


def enforced(language: Language) -> list[str]:
    rows = [
        (escape(words.say(language, {})), *("✓" if face in faces else "–" for face in _FACES), "✓")
        for words, faces in _RULES
    ]
    stricter = [(escape(each.says.say(language, {})), ", ".join(each.faces)) for each in DIFFERENCES]
    return [
        f"<h2>{say('enforced', language)}</h2>",
        table([say("rule", language), *_FACES, say("gateway", language)], rows),
        f"<h3>{say('stricter', language)}</h3>",
        "<ul>" + "".join(f"<li>{said} ({faces})</li>" for said, faces in stricter) + "</ul>",
    ]


def samples(compiled: CompiledContract, language: Language, here: str) -> list[str]:
    made = generated(compiled)
    parts = [
        f'<h2>{say("samples", language)}</h2><p><a href="{escape(here)}/samples"><code>{escape(here)}/samples</code></a></p>'
    ]
    parts.append(f"<h3>{say('given', language)}</h3>")
    parts += [
        _shown(f"{each.message}: {each.name} ({each.format})", each.text or each.file) for each in compiled.samples
    ]
    parts.append(f"<h3>{say('valid', language)}</h3>")
    parts += [
        _shown(f"{each.message}: {each.name} ({each.media})", each.content.decode()) for each in made if not each.rule
    ]
    rows = [
        (
            escape(each.message),
            f"<code>{escape(each.path) or '/'}</code>",
            f"<code>{each.rule}</code>",
            escape(each.name),
            each.media,
        )
        for each in made
        if each.rule
    ]
    parts.append(f"<h3>{say('invalid', language)}</h3>")
    return [*parts, table([*head(("message", "where", "rule", "name"), language), ""], rows)]


def _shown(title: str, text: str) -> str:
    return f"<details><summary>{escape(title)}</summary><pre><code>{escape(text)}</code></pre></details>"
