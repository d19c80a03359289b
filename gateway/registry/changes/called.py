"""Finds the fields that somebody means: by name, by the words of title and description, or by their mark.

A field is called what the contract in force calls it. `phone` means each field of that name. It also means each whose
title or description has the words of such a field's title ("Điện thoại"), in any case and without marks.
Invariant: a field that has the name is found. What else is found says by what (`Called.by`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, NamedTuple

from contracts.base.plain_words import has_words, plain
from contracts.canonical.personal import marked_fields
from contracts.compiled.contract import CompiledContract
from gateway.registry.changes.matrix import MARKS, in_contract, names_field

Place = tuple[str, str, str]  # contract, message, path of single values
_PATTERN: Final = re.compile(r"[*?\[\]]|\S\.\S")  # such a name is meant exactly
_TELLS: Final = 2  # words that a title needs to stand for what it names; "Tên" alone would be half of all titles
_LONGEST: Final = 2_000  # characters of a description
_NEAR: Final = 5


class By(StrEnum):
    """What of a field fits."""

    NAME = "name"
    TITLE = "title"
    DESCRIPTION = "description"
    MARK = "mark"


class Called(NamedTuple):
    """By what a field was found, and its title."""

    by: By
    title: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Which fields are asked about: by what they are called, or by their mark."""

    field: str | None = None
    personal: bool = False
    sensitive: bool = False

    @classmethod
    def of(cls, field: str | None, mark: str | None = None) -> Asked:
        """`@personal` and `!@personal`, as grants write them, and `@sensitive` stand for a mark."""
        written = (field or "").removeprefix("!").lower()
        if written in ("@personal", "@sensitive"):
            field, mark = None, mark or written[1:]
        return cls(field or None, mark == "personal", mark == "sensitive")

    def marks(self, personal: str | None) -> bool:
        return not (self.sensitive and personal != MARKS[-1] or self.personal and personal is None)


class _Texts(NamedTuple):
    """What a single value is called, as plain words: titles of itself and of the groups around it."""

    place: Place
    personal: str | None
    title: str  # as the contract writes it
    titles: tuple[str, ...]
    description: str


def named(contracts: Iterable[CompiledContract], asked: Asked) -> Mapping[Place, Called]:
    """Every single value that is asked about."""
    known = [each for contract in contracts for each in _texts(contract) if asked.marks(each.personal)]
    if asked.field is None:
        return {each.place: Called(By.MARK, each.title) for each in known}
    of, colon, wanted = asked.field.rpartition(":")
    if colon:
        known = [each for each in known if in_contract(of, each.place[0])]
    else:
        wanted = asked.field
    found = {each.place: Called(By.NAME, each.title) for each in known if _has_name(each, wanted)}
    if not _PATTERN.search(wanted):
        spoken = plain(wanted)
        titles = {each.place: plain(each.title) for each in known}
        same = {
            title
            for place, title in titles.items()
            if len(title.split()) >= _TELLS and (place in found or has_words(spoken, title))
        }
        for each in known:
            by = _by(each, spoken, same)
            if by is not None:
                found.setdefault(each.place, Called(by, each.title))
    return found


def near(contracts: Iterable[CompiledContract], wanted: str) -> tuple[str, ...]:
    """Names and titles of fields that are written nearly so."""
    known: dict[str, str] = {}
    for contract in contracts:
        for each in _texts(contract):
            name = _name(each)
            known.setdefault(plain(each.title), each.title)
            known[plain(name)] = name
    asked = plain(wanted.rpartition(":")[2].rpartition(".")[2])
    return tuple(dict.fromkeys(known[each] for each in get_close_matches(asked, known, n=_NEAR) if each))


def _texts(contract: CompiledContract) -> Iterator[_Texts]:
    for message in contract.exchanged:
        fields = marked_fields(contract.messages[message])
        titles = {each.path: plain(each.field.title) for each in fields}
        for each in fields:
            if each.single:
                yield _Texts(
                    (contract.contract.name, message, each.value_path),
                    each.personal,
                    each.field.title,
                    tuple(title for path in _around(each.path) if (title := titles.get(path, ""))),
                    plain(each.field.description, _LONGEST),
                )


def _around(path: str) -> Iterator[str]:
    """The path itself, and those of the groups around it, from the inside."""
    yield path
    for at in range(len(path) - 1, -1, -1):
        if path[at] == ".":
            yield path[:at].removesuffix("[]")


def _has_name(each: _Texts, wanted: str) -> bool:
    contract, _, path = each.place
    return names_field(wanted, contract, path)


def _by(each: _Texts, spoken: str, same: set[str]) -> By | None:
    """`same`: titles of fields that have the name, and those within what was asked ("Số điện thoại")."""
    if plain(_name(each)) == spoken:
        return By.NAME
    for by, texts in ((By.TITLE, each.titles), (By.DESCRIPTION, (each.description,))):
        if any(has_words(text, phrase) for text in texts for phrase in (spoken, *same)):
            return by
    return None


def _name(each: _Texts) -> str:
    return each.place[2].rpartition(".")[2].removesuffix("[]")
