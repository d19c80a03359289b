"""Structured fields: what is read is what is written, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sample_client.fields import (
    BadField,
    InnerList,
    Item,
    Token,
    read_bytes,
    read_dictionary,
    read_string,
    write_bare,
)

NAMES = st.from_regex(r"[a-z*][a-z0-9_\-.*]{0,8}", fullmatch=True)
BARE = (
    st.booleans()
    | st.integers(-(10**15) + 1, 10**15 - 1)
    | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
    | st.binary(max_size=12)
    | st.from_regex(r"[A-Za-z*][A-Za-z0-9:/*]{0,6}", fullmatch=True).map(Token)
)
PARAMS = st.dictionaries(NAMES, BARE, max_size=3).map(lambda found: tuple(found.items()))
ITEMS = st.builds(Item, BARE, PARAMS)
MEMBERS = ITEMS.filter(lambda item: item.value is not True) | st.builds(
    InnerList, st.lists(ITEMS, max_size=4).map(tuple), PARAMS
)


@given(st.dictionaries(NAMES, MEMBERS, min_size=1, max_size=4))
def test_what_is_written_is_read_back(members: dict[str, Item | InnerList]) -> None:
    text = ", ".join(f"{name}={member}" for name, member in members.items())
    assert read_dictionary(text) == members


def test_free_spacing_comes_out_canonical() -> None:
    found = read_dictionary('  sig1=( "@method"   "x";req ); created=1 ,  b  ')
    assert str(found["sig1"]) == '("@method" "x";req);created=1'
    assert found["b"] == Item(True)


@pytest.mark.parametrize(
    "text",
    ["a=1,", "a=1 b=2", "a=(1", 'a="x', "a=:?:", "a=1, a=2", 'a=("x""y")', "A=1", 'a="ộ"', "a=1;x;x", "a=:YQ:"],
    ids=[
        "trailing comma",
        "no comma",
        "open list",
        "open string",
        "no base64",
        "twice",
        "no space",
        "capital",
        "not ASCII",
        "param twice",
        "padding",
    ],
)
def test_what_is_not_a_field_is_refused(text: str) -> None:
    with pytest.raises(BadField):
        read_dictionary(text)


def test_single_values() -> None:
    assert read_bytes("a=:AQI=:, b=?0", "a") == b"\1\2"
    assert read_bytes("a=1", "missing") is None
    assert read_string(r'"a \"b\" \\"') == r'a "b" \ '.strip()
    assert write_bare(r'a "b" \ '.strip()) == r'"a \"b\" \\"'
    for wrong in ("a", '"a" b', "1"):
        with pytest.raises(BadField):
            read_string(wrong)
    with pytest.raises(BadField):
        read_bytes("a=1", "a")
