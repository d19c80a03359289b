"""What a stranger wrote cannot speak to the terminal of whoever reads it."""

from __future__ import annotations

import pytest

from contracts.base.visible import visible


@pytest.mark.parametrize("mark", ["\x00", "\x1b", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066", "\r"])
@pytest.mark.parametrize("lines", [False, True])
def test_what_nobody_sees_is_spelt_out(mark: str, lines: bool) -> None:
    assert visible(f"Sở Y tế{mark}[2Jạ", lines=lines) == f"Sở Y tế\\u{ord(mark):04x}[2Jạ"


def test_ends_of_lines_stay_where_there_may_be_several() -> None:
    assert visible("a\n\tb", lines=True) == "a\n\tb" and visible("a\n\tb") == "a\\u000a\\u0009b"
