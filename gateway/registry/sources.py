"""Says which system is the source of which data: at most one for any message (article 4.4 of the regulation).

A system declares what it is the source of: an operation that hands data in, and values that the message has at some
paths, such as an area or the beginning of an indicator's code. The declaration is content that two officers approve.
Invariant: of two systems, no two declarations in force cover the same message with one value at each path.
Invariant: a message that nobody declared is taken as grants allow it. A declaration changes nothing that was accepted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

from contracts.base.errors import Finding
from contracts.canonical.model import Pattern
from gateway.registry.changes.content import Content, Subject, sources_of
from gateway.registry.errors import SOURCE_TAKEN
from gateway.registry.records import Source, System
from gateway.registry.routing import Path, path_of, values_at

HANDS_IN: Final = (Pattern.SUBMIT, Pattern.DISPATCH)  # operations that have a source: the others ask
ANY: Final = "*"


class Shared(NamedTuple):
    """Two declarations that cover the same messages."""

    first: str
    second: str
    contract: str
    operation: str
    scopes: tuple[str, str]


def scope(source: Source) -> str:
    """The conditions in one line; empty if there are none."""
    return "; ".join(f"{path} = {', '.join(values)}" for path, values in sorted(source.when.items()))


def shared(one: Content, other: Content) -> Shared | None:
    """The first pair of declarations of two systems that cover the same messages."""
    for mine in sources_of(one):
        for theirs in sources_of(other):
            if overlap(mine, theirs):
                scopes = (scope(mine) or ANY, scope(theirs) or ANY)
                return Shared(one["id"], other["id"], mine.contract, mine.operation, scopes)
    return None


def overlap(one: Source, other: Source) -> bool:
    """Whether a message with one value at each path can be covered by both."""
    if (one.contract, one.operation) != (other.contract, other.operation):
        return False
    return all(_meet(values, other.when[path]) for path, values in one.when.items() if path in other.when)


def _meet(one: Sequence[str], other: Sequence[str]) -> bool:
    mine, theirs = _Values(one), _Values(other)
    return (
        not mine.exact.isdisjoint(theirs.exact)
        or mine.begin(theirs.exact)
        or theirs.begin(mine.exact)
        or mine.begin(theirs.prefixes)
        or theirs.begin(mine.prefixes)
    )


class _Values:
    """Values and beginnings, apart."""

    __slots__ = ("exact", "prefixes")

    def __init__(self, values: Iterable[str]) -> None:
        given = tuple(values)
        self.exact = frozenset(each for each in given if not each.endswith(ANY))
        self.prefixes = tuple(each.removesuffix(ANY) for each in given if each.endswith(ANY))

    def begin(self, texts: Iterable[str]) -> bool:
        """Whether one of the texts begins with one of the beginnings."""
        return bool(self.prefixes) and any(text.startswith(self.prefixes) for text in texts)

    def cover(self, present: _Present) -> bool:
        if not self.exact.isdisjoint(present.values):
            return True
        return any(present.has(prefix) for prefix in self.prefixes)


class _Present:
    """The values of a message at one path. To look for a beginning costs the logarithm of their number."""

    __slots__ = ("_sorted", "values")

    def __init__(self, values: Iterable[str]) -> None:
        self.values = frozenset(values)
        self._sorted: list[str] | None = None

    def has(self, prefix: str) -> bool:
        if self._sorted is None:
            self._sorted = sorted(self.values)
        place = bisect_left(self._sorted, prefix)
        return place < len(self._sorted) and self._sorted[place].startswith(prefix)


class SourceTable:
    """The declarations of one operation, compiled."""

    __slots__ = ("_paths", "_rows")

    def __init__(self, declared: Iterable[tuple[str, Source]]) -> None:
        rows = sorted(declared, key=lambda each: (each[0], scope(each[1])))
        self._rows = tuple(
            (system, source, tuple((path, _Values(values)) for path, values in source.when.items()))
            for system, source in rows
        )
        self._paths: Mapping[str, Path] = {path: path_of(path) for _, source in rows for path in source.when}

    def others(self, system: str, message: Mapping[str, Any]) -> tuple[str, Source] | None:
        """A declaration of another system that covers the message, or a part of it."""
        present = {path: _Present(values_at(message, steps)) for path, steps in self._paths.items()}
        for owner, source, conditions in self._rows:
            if owner != system and all(values.cover(present[path]) for path, values in conditions):
                return owner, source
        return None


def tables_of(systems: Iterable[System]) -> dict[tuple[str, str], SourceTable]:
    """The declarations of each (contract, operation) that has some."""
    found: dict[tuple[str, str], list[tuple[str, Source]]] = {}
    for system in systems:
        for source in system.sources:
            found.setdefault((source.contract, source.operation), []).append((system.id, source))
    return {key: SourceTable(declared) for key, declared in found.items()}


def check(contents: Mapping[Subject, Content], force: Mapping[Subject, Content]) -> None:
    """Refuses a document in which two systems are the source of the same data. Raises `source.taken`.

    The first of two is the one that is in force as it is declared, else the one whose id comes first.
    """
    declaring = sorted(
        (content for subject, content in contents.items() if subject.what == "system" and content.get("sources")),
        key=lambda content: (not _stands(content, force), content["id"]),
    )
    found = list(_pairs(declaring))
    if found:
        first = found[0]
        raise SOURCE_TAKEN(
            findings=[
                Finding(
                    f"systems.{each.second}.sources", "", each.scopes[1], "source", f"{each.first}: {each.scopes[0]}"
                )
                for each in found
            ],
            contract=first.contract,
            operation=first.operation,
            first=first.first,
            second=first.second,
            scope=first.scopes[0],
        )


def _pairs(declaring: Sequence[Content]) -> Iterator[Shared]:
    for one, other in combinations(declaring, 2):
        if (found := shared(one, other)) is not None:
            yield found


def _stands(content: Content, force: Mapping[Subject, Content]) -> bool:
    known = force.get(Subject("system", content["id"]))
    return known is not None and known.get("sources") == content["sources"]
