"""Derives canonical names for a draft from foreign names: fields, messages, operations, ids, paths.

Vietnamese letters become ASCII.
Invariant: a derived name has the form that the loader requires, and is unique in its scope (`Taken`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 200  # characters of a name that count
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[A-Z]")


def words_of(name: str) -> list[str]:
    """`MaHoSoTTHC`, `ma-ho-so`, `Mã hồ sơ` -> their words, in ASCII and lower case."""
    folded = unicodedata.normalize("NFD", name[:_LONGEST].replace("đ", "d").replace("Đ", "D"))
    plain = "".join(char if char.isascii() else " " for char in folded if not unicodedata.combining(char))
    return [each.lower() for each in _WORD.findall(plain)]


def field_name(name: str) -> str:
    text = "_".join(words_of(name))[:56].strip("_") or "value"
    text = text if text[0].isalpha() else f"f_{text}"
    return f"{text}_" if text == "absent" else text


def type_name(name: str) -> str:
    text = "".join(each.capitalize() for each in words_of(name))[:56] or "Message"
    return text if text[0].isalpha() else f"T{text}"


def operation_name(name: str) -> str:
    text = type_name(name)
    text = (text[0].lower() + text[1:])[:56]
    return text + "Call" if text.endswith("Response") else text


def dashed(name: str) -> str:
    """An id, path or file name: words with dashes, beginning with a letter."""
    text = "-".join(words_of(name))[:56].strip("-") or "he-thong"
    return text if text[0].isalpha() else f"s{text}"


class Taken:
    """The names of one scope. A repeated name gets a number."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = set(names)
        self._next: dict[tuple[str, str], int] = {}

    def name(self, wanted: str, joint: str = "") -> str:
        candidate, number = wanted, self._next.get((wanted, joint), 2)
        while candidate in self._names:
            candidate = f"{wanted}{joint}{number}"
            number += 1
        self._next[wanted, joint] = number
        self._names.add(candidate)
        return candidate
