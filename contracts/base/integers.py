"""Whole numbers in foreign text.

`str.isdigit` and `str.isdecimal` do not protect `int`: they accept `²` and other scripts' digits.
`int` also raises for more than 4,300 digits.
"""

from __future__ import annotations

from typing import Final

LARGEST: Final = 2**63 - 1  # the largest integer of a database column
_DIGITS: Final = len(str(LARGEST))


def whole_number(text: str, largest: int = LARGEST) -> int | None:
    """The number written as one to nineteen ASCII digits, if at most `largest`; None for any other text."""
    if not (0 < len(text) <= _DIGITS and text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= largest else None
