"""Derives canonical names for a draft from foreign names: fields, messages, operations, ids, paths.

Vietnamese letters become ASCII.
Invariant: a derived name has the form that the loader requires, and is unique in its scope (`Taken`).
"""

from __future__ import annotations

from collections.abc import Iterable

from contracts.base.plain_words import words_of


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
