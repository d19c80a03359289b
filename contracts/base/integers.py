"""Whole numbers in texts that others wrote.

`str.isdigit` and `str.isdecimal` are no guard for `int`: they take `²` and digits of other scripts, and `int` refuses texts of more than 4,300 digits.
"""

from __future__ import annotations

from typing import Final

LARGEST: Final = 2**63 - 1  # what a column of integers holds, in either database
_DIGITS: Final = len(str(LARGEST))


def whole_number(text: str, largest: int = LARGEST) -> int | None:
    """The number that one to nineteen ASCII digits name, if it is at most `largest`; None for any other text."""
    if not (0 < len(text) <= _DIGITS and text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= largest else None
