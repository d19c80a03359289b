"""XML as it comes in: any encoding that is declared, CDATA, entities of characters, prefixes of any name, comments
between."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import parse_xml

TEXT = "Lũ quét, sạt lở đất ở Đông Khê; nước dâng trên mức báo động ấy <ba> & hơn"


def windows_1258(text: str) -> bytes:
    """As old programs write it: the letter with its hat or horn, then the tone as a mark of its own."""
    made = b""
    for char in text:
        try:
            made += char.encode("cp1258")
        except UnicodeEncodeError:
            whole = unicodedata.normalize("NFD", char)
            letter, marks = (
                unicodedata.normalize("NFC", "".join(c for c in whole if c in whole[0] + "\u0302\u0306\u031b")),
                whole[1:],
            )
            made += letter.encode("cp1258") + "".join(c for c in marks if c not in "\u0302\u0306\u031b").encode(
                "cp1258"
            )
    return made


def encoded(text: str, encoding: str) -> bytes:
    return windows_1258(text) if encoding == "windows-1258" else text.encode(encoding)


def alert(catalogue: Any, encoding: str, description: str) -> Any:
    compiled = catalogue["incident-alert/v1"]
    sample = next(each for each in compiled.samples if each.format == "cap12" and each.name == "lu-quet-tra-linh")
    root = etree.fromstring(sample.raw)
    space = root.tag.rpartition("}")[0] + "}"
    for info in root.iter(f"{space}info"):
        for each in [*info.iter(f"{space}description")]:
            each.text = "THAY"
    body = etree.tostring(root, encoding="unicode").replace("THAY", description)
    document = f'<?xml version="1.0" encoding="{encoding}"?>\n{body}'
    return compiled.codec("cap12").read_xml("Alert", parse_xml(encoded(document, encoding)))


ESCAPED = TEXT.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "UTF-16BE", "windows-1258"])
@pytest.mark.parametrize(
    "written", [ESCAPED, f"<![CDATA[{TEXT}]]>", f"<!-- x -->{ESCAPED[:9]}<!-- y --><![CDATA[{TEXT[9:]}]]>"]
)
def test_text_is_the_same_in_every_encoding(catalogue: Any, encoding: str, written: str) -> None:
    value = alert(catalogue, encoding, written)
    assert value["info"][0]["description"] == TEXT
    assert value == alert(catalogue, "UTF-8", ESCAPED)


def test_character_references_reach_what_an_encoding_lacks() -> None:
    assert parse_xml(b'<?xml version="1.0" encoding="us-ascii"?><a>L&#361; qu&#xE9;t</a>').text == "Lũ quét"


def test_bytes_that_are_not_of_their_encoding_are_refused() -> None:
    for raw in (
        b'<?xml version="1.0" encoding="UTF-8"?><a>\xe9</a>',
        b'<?xml version="1.0" encoding="x-unknown"?><a/>',
    ):
        with pytest.raises(Theirs) as caught:
            parse_xml(raw)
        assert caught.value.code == "xml.malformed"


@pytest.mark.parametrize("prefix", ["cap", "ns0", "_", "SOAP-ENV", "chú"])
def test_a_prefix_is_only_a_name(catalogue: Any, prefix: str) -> None:
    compiled = catalogue["incident-alert/v1"]
    sample = next(each for each in compiled.samples if each.format == "cap12" and each.name == "lu-quet-tra-linh")
    raw = (
        sample.raw.decode()
        .replace("<cap:", f"<{prefix}:")
        .replace("</cap:", f"</{prefix}:")
        .replace("xmlns:cap=", f"xmlns:{prefix}=")
    )
    codec = compiled.codec("cap12")
    value = codec.read_xml("Alert", parse_xml(raw.encode()))
    assert value == codec.read_xml("Alert", parse_xml(sample.raw))
    bare = sample.raw.decode().replace("<cap:", "<").replace("</cap:", "</").replace("xmlns:cap=", "xmlns=")
    assert codec.read_xml("Alert", parse_xml(bare.encode())) == value
