"""Search over the documentation: each word of the question has to begin a word of the section.

Marks and cases do not count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MOST_LETTERS: Final = 100  # of a question
MOST_WORDS: Final = 8
MOST_FOUND: Final = 40
_BETWEEN: Final = re.compile(r"\W")
_AROUND: Final = 90  # letters of the text that are shown on either side


@dataclass(frozen=True, slots=True)
class Section:
    """A place that can be found. `folded` is heading and text as they are searched, made once."""

    address: str
    page: str
    heading: str
    text: str
    folded: str
    folded_heading: str


def section(address: str, page: str, heading: str, text: str) -> Section:
    heading, text = unicodedata.normalize("NFC", heading), unicodedata.normalize("NFC", text)
    return Section(address, page, heading, text, fold(f"{heading} {text}"), fold(f"{page} {heading}"))


def fold(text: str) -> str:
    """Words in lower case without marks, a blank before each. What is at a place was one place before in the text."""
    return " " + _BETWEEN.sub(" ", unicodedata.normalize("NFC", text).translate(_PLAIN).lower())


def _plain() -> dict[int, str]:
    """The letters of Latin scripts whose marks are left out."""
    points = (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
    letters = {point: unicodedata.normalize("NFD", chr(point))[0] for point in points}
    return {point: plain for point, plain in letters.items() if plain != chr(point)} | {0x110: "D", 0x111: "d"}


_PLAIN: Final = _plain()


def find(sections: Iterable[Section], question: str) -> list[tuple[Section, str]]:
    """The sections that have every word, those with the words in their headings first; each with an excerpt.

    The time is linear in the texts: one look for each word.
    """
    words = [f" {each}" for each in dict.fromkeys(fold(question[:MOST_LETTERS]).split())][:MOST_WORDS]
    if not words:
        return []
    phrase = "".join(words)
    found = [each for each in sections if all(word in each.folded or word in each.folded_heading for word in words)]
    found.sort(key=lambda each: (-sum(word in each.folded_heading for word in words), phrase not in each.folded))
    return [(each, _excerpt(each, words[0])) for each in found[:MOST_FOUND]]


def _excerpt(each: Section, word: str) -> str:
    before = len(each.heading) + 1  # of the blank before the text
    place = max(each.folded.find(word, before) - before, 0)
    begin, end = max(place - _AROUND, 0), place + _AROUND
    return f"{'… ' if begin else ''}{each.text[begin:end].strip()}{' …' if end < len(each.text) else ''}"
