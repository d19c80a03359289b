"""Collects the faults that a reader finds in a message, with their paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.base.errors import Finding

MAX_FINDINGS: Final = 20

Index = tuple[Any, int] | None  # the position in each list on the way to a value; None outside lists


class Enough(Exception):
    """The limit of findings is reached: the rest of the message is not read. Only codecs catch it."""


@dataclass(slots=True)
class Problems:
    """Faults found by a reader. Reading ends at 20 (`Enough`), which bounds the cost of a hostile message."""

    here_root: str = ""
    findings: list[Finding] = field(default_factory=list)
    canonical: set[str] = field(default_factory=set)
    later: list[Callable[[Any], None]] | None = None
    last: list[Callable[[Any], None]] | None = None
    at: str | None = None  # the day on which codes must be in force

    @property
    def full(self) -> bool:
        return len(self.findings) >= MAX_FINDINGS

    def add(self, here: str, canonical: str, got: str, rule: str, expected: str) -> None:
        if self.full:
            raise Enough
        self.canonical.add(canonical)
        self.findings.append(Finding(here, canonical, got, rule, expected))

    def defer(self, work: Callable[[Any], None]) -> None:
        """Calls `work` with the canonical message when all of it is read: some values depend on others."""
        if self.later is None:
            self.later = []
        self.later.append(work)

    def defer_last(self, work: Callable[[Any], None]) -> None:
        if self.last is None:
            self.last = []
        self.last.append(work)

    def settle(self, message: Any) -> None:
        for each in self.later or ():  # may grow during the loop
            each(message)
        for each in self.last or ():
            each(message)


def filled(template: str, index: Index, first: int) -> str:
    """`info[].area[]` with the indexes inserted, counted from `first`; brackets without an index are removed."""
    numbers: list[int] = []
    while index is not None:
        numbers.append(index[1])
        index = index[0]
    parts = template.split("[]")
    text = parts[0]
    for part in parts[1:]:
        text += (f"[{numbers.pop() + first}]" if numbers else "") + part
    return text


def kind_of(value: Any) -> str:
    """The kind of a value, never the value, which may be personal."""
    if isinstance(value, str):
        return f"text of {len(value)} characters" if value else "empty text"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "whole number"
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, dict):
        return "object"
    return "number"


class NotExpressible(Exception):
    """A canonical value that the format cannot carry. Only `Codec` turns it into a failure."""

    def __init__(self, leaf_here: str, canonical: str, got: str, rule: str, expected: str) -> None:
        super().__init__(canonical)
        self.finding = Finding(leaf_here, canonical, got, rule, expected)


class Inside(Problems):
    """Findings in a recursive value: paths relative to the enclosing type (`cut`) are reported at `at`."""

    __slots__ = ("_at", "_cut", "_outer")

    def __init__(self, outer: Problems, at: tuple[str, str], cut: tuple[str, str]) -> None:
        super().__init__(outer.here_root, outer.findings, outer.canonical, at=outer.at)
        self._outer, self._at, self._cut = outer, at, cut

    def add(self, here: str, canonical: str, got: str, rule: str, expected: str) -> None:
        self._outer.add(
            moved(here, self._at[0], self._cut[0]), moved(canonical, self._at[1], self._cut[1]), got, rule, expected
        )

    def defer(self, work: Callable[[Any], None]) -> None:
        self._outer.defer(work)

    def defer_last(self, work: Callable[[Any], None]) -> None:
        self._outer.defer_last(work)


def moved(path: str, at: str, cut: str) -> str:
    """A path below `cut` as a path below `at`; an empty path stays empty."""
    if not path:
        return path
    rest = path[len(cut) :]
    return at + ("." if rest and at and rest[0] not in ".[" else "") + rest


def started(template: str) -> tuple[Index, str]:
    """The index of the first item of each list, and the resulting path."""
    start: Index = None
    for _ in range(template.count("[]")):
        start = (start, 0)
    return start, filled(template, start, 0)
