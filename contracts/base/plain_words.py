"""Splits names and titles into plain words, so that people find them without marks, in any case.

`MaHoSoTTHC`, `ma-ho-so` and `Mã hồ sơ` begin with the same words.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 200  # characters of a name that count
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[A-Z]")


def words_of(name: str, longest: int = LONGEST) -> list[str]:
    """Its words, in ASCII and lower case; letters of other scripts separate words."""
    folded = unicodedata.normalize("NFD", name[:longest].replace("đ", "d").replace("Đ", "D"))
    plain = "".join(char if char.isascii() else " " for char in folded if not unicodedata.combining(char))
    return [each.lower() for each in _WORD.findall(plain)]


def plain(text: str, longest: int = LONGEST) -> str:
    """The words with one space between them."""
    return " ".join(words_of(text, longest))


def has_words(text: str, phrase: str) -> bool:
    """Whether one plain text has the words of another in a row; nothing is in no words."""
    return bool(phrase) and f" {phrase} " in f" {text} "
