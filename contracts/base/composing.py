"""Unicode normalisation form C of foreign text, in linear time.

Standard: Unicode Standard Annex 15. `unicodedata.normalize` sorts combining marks by insertion, in quadratic time.
Long runs of marks are therefore sorted here first, which does not change the result (D109: stable, by combining class).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import groupby
from typing import Final

_LONG: Final = 31  # marks on one letter; no language has more (UAX 15 §13: 30)
_FIRST: Final = 0x300  # the lowest mark
_NARROW: Final = 0x1_0000  # a character class below this is a table lookup; above it, a search of ranges
_WIDE: Final = 0x2_0000  # above the highest mark
_BEYOND: Final = re.compile("[\U00010000-\U0010ffff]")


def form_c(text: str) -> str:
    """The text in form C."""
    if text.isascii():
        return text
    end = _WIDE if _BEYOND.search(text) is not None else _NARROW
    return unicodedata.normalize("NFC", _long_runs(end).sub(_in_order, text))


@cache
def _long_runs(end: int) -> re.Pattern[str]:
    """Matches long runs of characters below `end` that decompose into marks only."""
    marks = [
        point for point in range(_FIRST, end) if unicodedata.combining(unicodedata.normalize("NFD", chr(point))[0])
    ]
    ranges = [[each for _, each in group] for _, group in groupby(enumerate(marks), lambda pair: pair[1] - pair[0])]
    mark = f"[{''.join(f'{chr(each[0])}-{chr(each[-1])}' for each in ranges)}]"
    return re.compile(f"{mark}{mark}{{{_LONG - 1},}}")  # a single first character is faster to search for


def _in_order(run: re.Match[str]) -> str:
    marks = "".join(unicodedata.normalize("NFD", each) for each in run[0])
    return "".join(sorted(marks, key=unicodedata.combining))
