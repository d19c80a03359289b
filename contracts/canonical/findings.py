"""What a reader found wrong in a message: collecting findings, with the paths of where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.base.errors import Finding

MAX_FINDINGS: Final = 20

Index = tuple[Any, int] | None  # the place in each list on the way to a value; None outside lists


class Enough(Exception):
    """More is wrong than anybody is told of: what is left of the message is not read. Only codecs catch it."""


@dataclass(slots=True)
class Problems:
    """What a reader found wrong; full at 20, and then reading ends (`Enough`), so that a hostile message costs little."""

    here_root: str = ""
    findings: list[Finding] = field(default_factory=list)
    canonical: set[str] = field(default_factory=set)
    later: list[Callable[[Any], None]] | None = None
    last: list[Callable[[Any], None]] | None = None
    at: str | None = None  # the day on which codes are to be in force

    @property
    def full(self) -> bool:
        return len(self.findings) >= MAX_FINDINGS

    def add(self, here: str, canonical: str, got: str, rule: str, expected: str) -> None:
        if self.full:
            raise Enough
        self.canonical.add(canonical)
        self.findings.append(Finding(here, canonical, got, rule, expected))

    def defer(self, work: Callable[[Any], None]) -> None:
        """Has `work` done with the canonical message once all of it is read: some values are understood by others."""
        if self.later is None:
            self.later = []
        self.later.append(work)

    def defer_last(self, work: Callable[[Any], None]) -> None:
        if self.last is None:
            self.last = []
        self.last.append(work)

    def settle(self, message: Any) -> None:
        for each in self.later or ():  # grows while it is walked: what was understood may bring more
            each(message)
        for each in self.last or ():
            each(message)


def filled(template: str, index: Index, first: int) -> str:
    """`info[].area[]` with the indexes of the frames put in, counted from `first`; brackets left over lose theirs."""
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
    """The kind of a value, never the value: it may be personal."""
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
    """A canonical value that the format cannot carry; only `Codec` lets it become a failure."""

    def __init__(self, leaf_here: str, canonical: str, got: str, rule: str, expected: str) -> None:
        super().__init__(canonical)
        self.finding = Finding(leaf_here, canonical, got, rule, expected)


class Inside(Problems):
    """Findings in what is as something above it (`cut` is the path there), told with the paths of where it really is (`at`)."""

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
    """A path below `cut` as one below `at`; "" stays, it is no path."""
    if not path:
        return path
    rest = path[len(cut) :]
    return at + ("." if rest and at and rest[0] not in ".[" else "") + rest


def started(template: str) -> tuple[Index, str]:
    """The index of the first of everything, and the path that it gives."""
    start: Index = None
    for _ in range(template.count("[]")):
        start = (start, 0)
    return start, filled(template, start, 0)
