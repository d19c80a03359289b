"""Exact JSON, hardened XML, SOAP envelopes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from contracts.base import jcs
from contracts.base.errors import Theirs
from contracts.wire import soap, xmltext
from contracts.wire.jsontext import read_json, text_of, write_json
from contracts.wire.soap import parse_envelope, parse_xml
from tests.contracts.conftest import within

ENVELOPE = '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">{}</soap:Envelope>'


def test_numbers_are_exact_and_written_as_they_stood() -> None:
    raw = b'{"a":1.10,"b":12345678901234567890123456789,"c":-0.000,"d":1E+2}'
    value = read_json(raw)
    assert value["a"] == Decimal("1.10") and value["b"] == 12345678901234567890123456789
    assert write_json(value) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"x":{"a":1,"b":2,"a":1}}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b'"\xff"',
        b"{",
        b"",
        b'"\x01"',
        b"[1,]",
        b"1e999999999",
        b"1" * 1001,
        b"[" * 100_000,
    ],
)
def test_json_that_is_refused(raw: bytes) -> None:
    with pytest.raises(Theirs) as caught:
        read_json(raw)
    assert caught.value.code == "message.not-json" and caught.value.status == 400


@pytest.mark.parametrize(
    ("raw", "member", "character"),
    [
        (b'"\\u0000"', "/", "U+0000"),
        (b'{"a":["x",{"b":"yz\\u0000"}]}', "a[1].b", "U+0000"),
        (b'"\\ud800"', "/", "U+D800"),
        (b'"\\uDFFFx"', "/", "U+DFFF"),
        (b'"\\b"', "/", "U+0008"),
        (b'"\\f"', "/", "U+000C"),
        (b'"\\uFFFE"', "/", "U+FFFE"),
        ('"\uffff"'.encode(), "/", "U+FFFF"),
        (b'{"a":{"\\u001f":1}}', "a", "U+001F"),
    ],
)
def test_json_is_told_the_member_that_has_a_character_which_is_not_taken(
    raw: bytes, member: str, character: str
) -> None:
    with pytest.raises(Theirs) as caught:
        read_json(raw)
    assert (caught.value.code, caught.value.status) == ("message.character", 422)
    assert (caught.value.facts["member"], caught.value.facts["character"]) == (member, character)
    assert read_json(raw, any_text=True)


@pytest.mark.parametrize(
    ("raw", "line", "column"),
    [
        (b'{"a": 1,\n "b": {"x": 1, "a": 2},\n "a": 3}', 3, 2),
        (b'{"a": [1,\n  NaN]}', 2, 3),
        (b'{"a": -Infinity}', 1, 7),
        (b'{"a": 1,\n"b": 1e99999}', 2, 6),
        (b'{"a": "\\"NaN",\n"b": ' + b"9" * 1001 + b"}", 2, 6),
        (b"\n" + b"[" * 70 + b"]" * 70, 2, 65),
        ('{"đ": "'.encode() + b'\xff"}', 1, 8),
        (b'{"a": 1,}', 1, 8),
    ],
)
def test_json_is_told_the_place_of_each_fault(raw: bytes, line: int, column: int) -> None:
    with pytest.raises(Theirs) as caught:
        read_json(raw)
    assert f"(line {line}, column {column})" in caught.value.what("en"), caught.value.what("en")
    assert f"(dòng {line}, cột {column})" in caught.value.what("vi")


def test_no_place_is_named_that_is_not_known() -> None:
    with pytest.raises(Theirs) as caught:
        read_json(b"[" + b"0," * 600_000 + b"0]")
    assert caught.value.what("en") == "The JSON cannot be read: more than 500000 values."


def test_json_with_escapes_that_are_fine() -> None:
    assert read_json(b'"\\ud834\\udd1e \\u00e0 \\\\u0000 \\t\\r\\n"') == "𝄞 à \\u0000 \t\r\n"


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))
    | st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: within(d, 300)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_json_comes_back_as_it_was(value: object) -> None:
    assert read_json(write_json(value)) == value
    assert text_of(read_json(write_json(value))) == text_of(value)


def test_canonical_json_of_rfc_8785() -> None:
    assert jcs.encode({"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\u00f6": 7}) == (
        '{"\\r":2,"1":4,"\x80":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'.encode()
    )
    assert jcs.encode([True, None, '\u0007"\\', {}]) == b'[true,null,"\\u0007\\"\\\\",{}]'
    for wrong in (1.5, 2**60, {1: 2}, {"a": b""}):
        with pytest.raises((TypeError, ValueError)):
            jcs.encode(wrong)


DOCTYPES = [
    b"<!DOCTYPE a><a/>",
    b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
    b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
    "<!DOCTYPE a><a/>".encode("utf-16"),
    (
        '<!DOCTYPE a [<!ENTITY b "' + "x" * 1000 + '"><!ENTITY c "' + "&b;" * 1000 + '">]><a>' + "&c;" * 1000 + "</a>"
    ).encode(),
]


@pytest.mark.parametrize("raw", DOCTYPES)
def test_a_doctype_is_refused_in_any_encoding(raw: bytes) -> None:
    with pytest.raises(Theirs) as caught:
        parse_xml(raw)
    assert caught.value.code == "xml.doctype"


def test_the_word_doctype_in_text_is_no_doctype() -> None:
    assert parse_xml(b"<a><![CDATA[<!DOCTYPE html>]]></a>").text == "<!DOCTYPE html>"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"<a>", "xml.malformed"),
        (b"", "xml.malformed"),
        (b"<a>&nope;</a>", "xml.malformed"),
        (b"<a>\x01</a>", "xml.malformed"),
        (b"<a>&#0;</a>", "xml.malformed"),
        (b"<a>\xff</a>", "xml.malformed"),
        (b"<?xml version='1.0'?><?xml-stylesheet href='x'?><a/>", "xml.instruction"),
        (b"<a><b><?php x?></b></a>", "xml.instruction"),
        (b"<a/><?x y?>", "xml.instruction"),
        (b"<a>" * 65 + b"</a>" * 65, "xml.too-deep"),
        (b"<a>" * 5000 + b"</a>" * 5000, "xml.too-deep"),
    ],
)
def test_xml_that_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(Theirs) as caught:
        parse_xml(raw)
    assert caught.value.code == code
    assert "…" not in caught.value.what("vi") and caught.value.next("en")


def test_limits_hold_exactly() -> None:
    assert parse_xml(b"<a>" * 64 + b"</a>" * 64) is not None
    with pytest.raises(Theirs) as caught:
        parse_xml(b"<a>" + b"x" * 100 + b"</a>", max_bytes=50)
    assert caught.value.code == "xml.too-large" and caught.value.status == 413


def test_a_comment_cannot_split_a_text() -> None:
    assert parse_xml(b"<a>ad<!-- x -->min</a>").text == "admin"


def test_text_of_every_kind_is_written_as_c14n_writes_it() -> None:
    @given(
        st.text(
            st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
            | st.sampled_from("\t\n\r<>&\"'")
        )
    )
    def holds(value: str) -> None:
        element = etree.Element("a", {"b": value})
        element.text = value
        written = f'<a b="{xmltext.escape_attribute(value)}">{xmltext.escape_text(value)}</a>'.encode()
        assert etree.tostring(element, method="c14n", exclusive=True) == written

    holds()


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<soap:Header/>",
        "<soap:Body/><soap:Body/>",
        "<soap:Body/><soap:Header/>",
        "<soap:Header/><soap:Header/><soap:Body/>",
        "<soap:Body/><x/>",
    ],
)
def test_envelopes_out_of_shape(inside: str) -> None:
    with pytest.raises(Theirs) as caught:
        parse_envelope(ENVELOPE.format(inside).encode())
    assert caught.value.code == "soap.malformed"


def test_the_body_has_one_child() -> None:
    whole = ENVELOPE.format("<soap:Header><x/></soap:Header><soap:Body>\n <y/>\n</soap:Body>")
    for raw in (whole, whole.replace(soap.SOAP, soap.SOAP12)):
        assert soap.body_child(parse_xml(raw.encode())).tag == "y"
    for inside in ("<soap:Body/>", "<soap:Body><a/><b/></soap:Body>", "<soap:Body><a/></soap:Body><b/>"):
        with pytest.raises(Theirs):
            soap.body_child(parse_xml(ENVELOPE.format(inside).encode()))
    with pytest.raises(Theirs):
        soap.body_child(parse_xml(b"<a/>"))


def test_an_envelope_is_of_the_version_that_its_media_type_says() -> None:
    raw = ENVELOPE.format("<soap:Header><x/></soap:Header><soap:Body>\n <y/>\n</soap:Body>").encode()
    newer = raw.replace(soap.SOAP.encode(), soap.SOAP12.encode())
    assert parse_envelope(raw).tag == soap.V11.envelope and parse_envelope(newer, soap.V12).tag == soap.V12.envelope
    for sent, version in (
        (newer, soap.V11),
        (raw, soap.V12),
        (raw.replace(soap.SOAP.encode(), b"urn:soap:3"), soap.V12),
    ):
        with pytest.raises(Theirs) as caught:
            parse_envelope(sent, version)
        assert caught.value.code == "soap.version"
