"""Structured fields against another reader of them, and the places where we are stricter."""

from __future__ import annotations

from typing import Any

import http_sf
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from security.structured_fields import (
    FieldError,
    InnerList,
    Item,
    Token,
    parse_dictionary,
    serialise_bytes,
    serialise_string,
)

ALPHABET = 'ab1=;,()": \t-.?:*/\\AZ09+_@\x00é'


def plain(member: Any) -> Any:
    if isinstance(member, InnerList):
        return [(_value(i.value), {k: _value(v) for k, v in i.params.items()}) for i in member.items], {
            k: _value(v) for k, v in member.params.items()
        }
    return _value(member.value), {k: _value(v) for k, v in member.params.items()}


def _value(value: Any) -> Any:
    return ("token", str(value)) if isinstance(value, Token | http_sf.Token) else value


def theirs(text: str) -> Any:
    members: Any = http_sf.parse(text.encode("utf-8"), tltype="dictionary")
    return {
        key: (
            value
            if not isinstance(value, list)
            else [(_value(v), {k: _value(p) for k, p in ps.items()}) for v, ps in value],
            {k: _value(p) for k, p in params.items()},
        )
        if isinstance(value, list)
        else (_value(value), {k: _value(p) for k, p in params.items()})
        for key, (value, params) in members.items()
    }


@settings(max_examples=1500, deadline=None)
@given(st.text(alphabet=ALPHABET, max_size=60))
@example('sig1=("@method" "a";req;key="x");created=1;tag="t"')
@example('a=("x");n="q\\"uo\\\\te", b=:AAAA:, c, d=?0;p=tok/en, e=-1.50')
@example('sig1=("@method" "@target-uri");created=10;keyid="a b"')
def test_what_we_read_others_read_alike(text: str) -> None:
    try:
        ours = parse_dictionary(text)
    except FieldError:
        return
    assert {key: plain(member) for key, member in ours.items()} == theirs(text)
    written = ", ".join(f"{key}={member.text}" for key, member in ours.items())
    again = parse_dictionary(written)
    assert again == ours, "the canonical text reads back as the same"
    assert http_sf.ser(http_sf.parse(text.encode(), tltype="dictionary")) == _compact(ours)


def _compact(members: Any) -> str:
    parts = []
    for key, member in members.items():
        true = isinstance(member, Item) and member.value is True
        parts.append(key + member.text.removeprefix("?1") if true else f"{key}={member.text}")
    return ", ".join(parts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a=1, a=2",
        "a=();b=1;b=2",
        "A=1",
        "a=(1 2",
        'a=("x""y")',
        "a=1,",
        "a=\u00e9",
        "a=:A:",
        "a=:AAAA",
        'a="x',
        "a=1234567890123456",
        "a=1.2345",
        "a=--1",
        "a =1",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(FieldError):
        parse_dictionary(text)


def test_the_fast_way_and_the_general_way_agree() -> None:
    usual = 'sig1=("@method" "content-type");created=1795503600;nonce="ab c";keyid="k"'
    general = usual.replace(";created", "; created")  # a space that is allowed, and that only the general way reads
    assert parse_dictionary(usual) == parse_dictionary(general)
    assert parse_dictionary(general)["sig1"].text == usual.removeprefix("sig1=")


def test_writing() -> None:
    assert serialise_bytes(b"\x00\xff") == ":AP8=:"
    assert serialise_string('a"b\\c') == '"a\\"b\\\\c"'
    with pytest.raises(FieldError):
        serialise_string("xã")
