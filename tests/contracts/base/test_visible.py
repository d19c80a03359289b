"""What a stranger wrote cannot speak to the terminal of whoever reads it."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from contracts.base.visible import visible

WITHOUT_A_GLYPH = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
UNSEEN = [
    each
    for each in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") or each in WITHOUT_A_GLYPH
]


@pytest.mark.parametrize(
    "mark", ["\x00", "\x1b", "\x7f", "\x9b", "\u061c", "\u200b", "\u2028", "\u202e", "\u2066", "\r"]
)
@pytest.mark.parametrize("lines", [False, True])
def test_what_nobody_sees_is_spelt_out(mark: str, lines: bool) -> None:
    assert visible(f"Sở Y tế{mark}[2Jạ", lines=lines) == f"Sở Y tế\\u{ord(mark):04x}[2Jạ"


def test_what_is_seen_stays() -> None:
    text = "".join(chr(each) for each in range(0x20, 0x2000) if chr(each).isprintable() and chr(each) not in UNSEEN)
    assert visible(text) == text


def test_escaped_json_is_the_same_json() -> None:
    value = {"name\u202e": "".join(each for each in UNSEEN if not "\ud800" <= each <= "\udfff") + "Sở"}
    assert json.loads(visible(json.dumps(value, ensure_ascii=False))) == value


def test_ends_of_lines_stay_where_there_may_be_several() -> None:
    assert visible("a\n\tb", lines=True) == "a\n\tb" and visible("a\n\tb") == "a\\u000a\\u0009b"
