"""Names for a draft: canonical fields, messages, operations, ids and prefixes made of foreign names, Vietnamese letters included.

Invariant: a name made here has the form that the loader wants, and is taken once in its scope (`Taken`).
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
    made = "_".join(words_of(name))[:56].strip("_") or "value"
    made = made if made[0].isalpha() else f"f_{made}"
    return f"{made}_" if made == "absent" else made


def type_name(name: str) -> str:
    made = "".join(each.capitalize() for each in words_of(name))[:56] or "Message"
    return made if made[0].isalpha() else f"T{made}"


def operation_name(name: str) -> str:
    made = type_name(name)
    made = (made[0].lower() + made[1:])[:56]
    return made + "Call" if made.endswith("Response") else made


def dashed(name: str) -> str:
    """An id, a path or a file name: words with dashes, beginning with a letter."""
    made = "-".join(words_of(name))[:56].strip("-") or "he-thong"
    return made if made[0].isalpha() else f"s{made}"


class Taken:
    """Names of one scope; the second of a kind gets a number."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = set(names)
        self._next: dict[tuple[str, str], int] = {}

    def name(self, wanted: str, joint: str = "") -> str:
        made, number = wanted, self._next.get((wanted, joint), 2)
        while made in self._names:
            made = f"{wanted}{joint}{number}"
            number += 1
        self._next[wanted, joint] = number
        self._names.add(made)
        return made
