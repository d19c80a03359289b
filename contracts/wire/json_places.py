"""Finds where a JSON text breaks a rule that its decoder does not give a place for. Only refused texts come here.

Invariant: the cost is linear in what is read, and no more than `MOST` characters are.
"""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 200_000
# A text without an end goes on to the end: else each quote in it would begin another one.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[-+.0-9A-Za-z]++|[\[\]{}:]', re.DOTALL)
_CONSTANTS: Final = frozenset({"NaN", "Infinity", "-Infinity"})


def place_of(text: str, depth: int, digits: int) -> tuple[int, int] | None:
    """Line and column, from 1, of the first name that stands twice in its object, of NaN or Infinity, of a number of
    more than `digits` characters or with an exponent of more than three digits, or of the bracket that nests deeper
    than `depth`. None if the first `MOST` characters have none.
    """
    open_: list[set[str] | None] = []  # names of an object; None for a list
    last, at = "", 0
    for found in _TOKEN.finditer(text, 0, MOST):
        piece = found[0]
        if piece in "[{":
            open_.append(set() if piece == "{" else None)
            if len(open_) > depth:
                return _place(text, found.start())
        elif piece in "]}":
            if open_:
                open_.pop()
        elif piece == ":":
            names = open_[-1] if open_ else None
            if names is not None and last in names:
                return _place(text, at)
            if names is not None:
                names.add(last)
        elif piece in _CONSTANTS or piece[0] != '"' and _is_long(piece, digits):
            return _place(text, found.start())
        last, at = piece, found.start()
    return None


def _is_long(number: str, digits: int) -> bool:
    _, _, exponent = number.lower().partition("e")
    return len(number) > digits or len(exponent.lstrip("+-0")) > len(str(digits)) - 1


def _place(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
