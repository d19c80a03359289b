"""Unicode normalisation form C (Unicode Standard Annex 15) of texts by strangers, in linear time.

`unicodedata.normalize` puts marks in order by insertion: a letter with 100,000 marks on it would take a minute. Long runs of marks are put in
order here first, which changes nothing of the result (UAX 15 D109: the order is that of the canonical combining classes, stable).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import groupby
from typing import Final

_LONG: Final = 31  # marks on one letter; no language has more (UAX 15 §13: 30)
_FIRST: Final = 0x300  # no mark is below
_NARROW: Final = (
    0x1_0000  # a class of characters below it is looked up at once, one with characters above range by range
)
_WIDE: Final = 0x2_0000  # no mark is above
_BEYOND: Final = re.compile("[\U00010000-\U0010ffff]")


def form_c(text: str) -> str:
    if text.isascii():
        return text
    end = _WIDE if _BEYOND.search(text) is not None else _NARROW
    return unicodedata.normalize("NFC", _long_runs(end).sub(_in_order, text))


@cache
def _long_runs(end: int) -> re.Pattern[str]:
    """A run of characters that are marks, or are made of marks alone, of those below `end`."""
    marks = [
        point for point in range(_FIRST, end) if unicodedata.combining(unicodedata.normalize("NFD", chr(point))[0])
    ]
    ranges = [[each for _, each in group] for _, group in groupby(enumerate(marks), lambda pair: pair[1] - pair[0])]
    mark = f"[{''.join(f'{chr(each[0])}-{chr(each[-1])}' for each in ranges)}]"
    return re.compile(f"{mark}{mark}{{{_LONG - 1},}}")  # the first one by itself: that is searched for faster


def _in_order(run: re.Match[str]) -> str:
    marks = "".join(unicodedata.normalize("NFD", each) for each in run[0])
    return "".join(sorted(marks, key=unicodedata.combining))
