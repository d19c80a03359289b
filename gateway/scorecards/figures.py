"""What is counted of a system and a day, and the days of a span.

Days are those of Vietnam, and of the time at which a message came in: the time in its id (UUIDv7, RFC 9562, 5.7).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from contracts.base.ids import arrived, new_id

DAY: Final = 86_400.0
HOURS: Final = 24
HOUR: Final = 3600.0
_SUMS: Final = (
    "probed", "listened", "answered", "unanswered", "accepted", "invalid", "repeats", "fed", "corrected", "fresh",
    "dated",
)  # fmt: skip
Rule = tuple[str, str, str]  # error code, rule of the contract, path in the message


class Expected(NamedTuple):
    """One period of a contract. `came`: when its first data came in; None if they did not, or too late to count."""

    contract: str
    frequency: str
    number: int
    due: float
    came: float | None

    @property
    def in_time(self) -> bool:
        return self.came is not None and self.came <= self.due


@dataclass(slots=True)
class Counts:
    """Of one system and day, or of several days. `ages`: seconds from the time of data to when they came in."""

    probed: int = 0
    listened: int = 0
    answered: int = 0
    unanswered: int = 0
    accepted: int = 0
    refused: Counter[Rule] = field(default_factory=Counter)
    invalid: int = 0
    repeats: int = 0
    fed: int = 0
    corrected: int = 0
    fresh: int = 0
    dated: int = 0
    ages: list[float] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    heard: set[int] = field(default_factory=set)  # hours since the first day
    failed: set[int] = field(default_factory=set)  # hours of failed calls

    def add(self, other: Counts) -> None:
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refused.update(other.refused)
        self.ages += other.ages
        self.expected += other.expected
        self.heard |= other.heard
        self.failed |= other.failed


class Span(NamedTuple):
    """Days in Vietnam: from the begin of the first to the end of the last, Unix seconds."""

    since: float
    until: float

    @property
    def days(self) -> int:
        return round((self.until - self.since) / DAY)

    @property
    def ids(self) -> tuple[str, str]:
        """The ids of its transfers: at or after the first, before the second."""
        return _first_id(self.since), _first_id(self.until)

    def within(self, hour: int) -> int:
        """An hour since the first day, moved into the span."""
        return min(self.days * HOURS - 1, max(0, hour))

    def hour(self, transfer: str) -> int:
        """The hour since the first day in which a transfer of the span came in."""
        return self.within(int((arrived(transfer) - self.since) // HOUR))


@dataclass(slots=True)
class Days:
    """The counts of each system and day of a span; `declared`: systems that a contract expects data of."""

    span: Span
    counts: dict[tuple[str, int], Counts] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)

    def at(self, system: str, hour: int) -> Counts:
        key = (system, hour // HOURS)
        if key not in self.counts:
            self.counts[key] = Counts()
        return self.counts[key]

    def of(self, system: str, days: range) -> Counts:
        """The counts of several days together."""
        total = Counts()
        for day in days:
            if (own := self.counts.get((system, day))) is not None:
                total.add(own)
        return total


def _first_id(at: float) -> str:
    return new_id(round(at * 1000))[:13]
