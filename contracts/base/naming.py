"""Judges the names by which people know each other: of agencies, systems, vendors, officers and accounts.

Standard: UTS 39. A name is of one script, Latin, with the letters and marks of Vietnamese and its neighbours (§5.2).
Two names are confusable if their skeletons are equal (§4); ours also disregards case, marks, blanks and signs.
Invariant: only listed characters pass. So letters of other scripts, those that nobody sees (default-ignorable, bidi,
  tags), and look-alikes within Latin are refused without a list of them. NFC and NFD are judged alike.
"""

from __future__ import annotations

import unicodedata
from typing import Final

LETTERS: Final = frozenset("ĐđÐðØøŁłÆæŒœẞßÞþ")  # besides ASCII; others are one of these with marks
# Grave, acute, circumflex, tilde, macron, breve, dot above, diaeresis, hook above, ring, double acute, caron, horn,
# dot below, comma below, cedilla, ogonek.
MARKS: Final = frozenset(
    "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u0309\u030a\u030b\u030c\u031b\u0323\u0326\u0327\u0328"
)
SIGNS: Final = frozenset("–—‘’“”«»…·•°§©®™₫№")
MOST_MARKS: Final = 2  # of one letter: ế, ợ
# What looks alike within the letters that pass: UTS 39's confusables, in lower case.
_ALIKE: Final = str.maketrans(
    {
        "0": "o", "1": "l", "i": "l", "|": "l", "m": "rn", "w": "vv",
        "đ": "d", "ð": "d", "ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "þ": "p",
    }
)  # fmt: skip


def objection(name: str) -> str | None:
    """The first character that no name has, as `U+202E`; None if there is none."""
    marks = MOST_MARKS
    for each in unicodedata.normalize("NFD", name):
        if each in MARKS:
            marks += 1
        elif " " <= each <= "~" or each in LETTERS or each in SIGNS:
            marks = 0 if each.isalpha() else MOST_MARKS
        else:
            return f"U+{ord(each):04X}"
        if marks > MOST_MARKS:
            return f"U+{ord(each):04X}"
    return None


def skeleton(name: str) -> str:
    """Equal for names that people may take for one another; of signs alone it is empty."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(each for each in folded.translate(_ALIKE) if each.isalnum())
