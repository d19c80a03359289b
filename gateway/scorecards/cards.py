"""The scorecard of a system: the score of a span of days, of each day, and of as many days before.

Invariant: the counts of a span are the sums of those of its days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import Any, Final

from sqlalchemy import Connection

from contracts.base.times import rfc3339
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from gateway.scorecards import periods
from gateway.scorecards.counts import count
from gateway.scorecards.figures import HOURS, Counts, Days, Expected, Span
from gateway.scorecards.scoring import Part, Score, Share, Weights, score, weights
from security.grants.windows import VIETNAM

MOST_DAYS: Final = 92  # of one card
LISTED: Final = 20  # rules and late periods of a card
HEARD, FAILED, SILENT = "heard", "failed", "silent"  # of an hour


class BadDays(ValueError):
    """Days that no card can be of. The text says what is allowed."""


@dataclass(frozen=True, slots=True)
class Dates:
    """The first and the last day of a card."""

    first: date
    last: date

    @classmethod
    def of(cls, now: float, first: str = "", last: str = "", *, days: int = 30) -> Dates:
        """From texts as 2026-11-27. Without a last day it is yesterday in Vietnam, without a first one `days` before.
        Raises BadDays.
        """
        today = datetime.fromtimestamp(now, VIETNAM).date()
        try:
            until = date.fromisoformat(last) if last else today - timedelta(days=1)
            since = date.fromisoformat(first) if first else until - timedelta(days=days - 1)
        except (ValueError, OverflowError):
            raise BadDays(_allowed(today)) from None
        if not since <= until <= today or (until - since).days >= MOST_DAYS or since.year < 1971:
            raise BadDays(_allowed(today))
        return cls(since, until)

    @property
    def number(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def span(self) -> Span:
        """Of these days and as many before."""
        since = _midnight(self.first - timedelta(days=self.number))
        return Span(since, _midnight(self.last + timedelta(days=1)))


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    score: Score
    hours: tuple[str, ...]  # each heard, failed or silent


@dataclass(frozen=True, slots=True)
class Card:
    """`before` is the score of as many days before."""

    system: System
    dates: Dates
    counts: Counts
    score: Score
    before: Score
    days: tuple[Day, ...]

    @property
    def change(self) -> float | None:
        """Points against the days before; None if one of the two has no score."""
        now, then = self.score.tenths, self.before.tenths
        return None if now is None or then is None else (now - then) / 10

    @property
    def late(self) -> tuple[Expected, ...]:
        """The periods whose data came late or did not come, newest first."""
        late = (each for each in self.counts.expected if not each.in_time)
        return tuple(sorted(late, key=lambda each: (-each.due, each.contract)))

    @property
    def age(self) -> float | None:
        """Seconds from the time of the data to when they came in, in the middle."""
        return median(self.counts.ages) if self.counts.ages else None

    def to_json(self) -> dict[str, Any]:
        best, span = self.score.best, self.score.interval
        return {
            "system": self.system.id,
            "agency": self.system.agency,
            "from": self.dates.first.isoformat(),
            "until": self.dates.last.isoformat(),
            "score": self.score.value,
            "interval": None if span is None else {"low": span[0] / 10, "high": span[1] / 10},
            "before": self.before.value,
            "change": self.change,
            "parts": [each.to_json() for each in self.score.parts],
            "advice": None if best is None else {"part": best.part, "gain": best.gain / 10},
            "age_seconds": self.age,
            "rules": [
                {"code": code, "rule": rule, "path": path, "times": times}
                for (code, rule, path), times in self.counts.refused.most_common(LISTED)
            ],
            "late": [
                {
                    "contract": each.contract,
                    "frequency": each.frequency,
                    "period": periods.name_of(each.frequency, each.number),
                    "due": rfc3339(each.due),
                    "came": None if each.came is None else rfc3339(each.came),
                }
                for each in self.late[:LISTED]
            ],
            "late_periods": len(self.late),
            "days": [
                {
                    "day": each.date.isoformat(),
                    "score": each.score.value,
                    "parts": {part.part: part.points / 10 if part.share.judged else None for part in each.score.parts},
                    "hours": list(each.hours),
                }
                for each in self.days
            ],
        }


def cards(
    connection: Connection, snapshot: Snapshot, systems: Iterable[System], dates: Dates, now: float
) -> list[Card]:
    """The cards of these systems, all from one reading."""
    rules = weights()
    days = count(connection, snapshot, dates.span, now, rules)
    return [_card(each, days, dates, rules) for each in systems]


def shares(counts: Counts, declared: bool, least: Mapping[Part, int]) -> Mapping[Part, Share]:
    """The share of each part. `declared`: a contract declares when data of the system are due."""
    return {part: replace(each, least=least[part]) for part, each in _shares(counts, declared).items()}


def _shares(counts: Counts, declared: bool) -> dict[Part, Share]:
    expected, handed_in = counts.expected, counts.accepted + counts.invalid
    came = sum(each.came is not None for each in expected)
    return {
        "availability": Share(counts.listened, counts.probed, "no-probes"),
        "answers": Share(counts.answered, counts.answered + counts.unanswered, "no-calls"),
        "timeliness": Share(
            sum(each.in_time for each in expected),
            came,
            "none-came" if expected else "none-due" if declared else "no-frequency",
        ),
        "freshness": Share(counts.fresh, counts.dated, "none-came" if declared else "no-frequency"),
        "completeness": Share(came, len(expected), "none-due" if declared else "no-frequency"),
        "validity": Share(counts.accepted, handed_in, "none-handed-in"),
        "duplication": Share(counts.accepted, counts.accepted + counts.repeats, "none-handed-in"),
        "corrections": Share(counts.fed - counts.corrected, counts.fed, "no-feed"),
    }


def _card(system: System, days: Days, dates: Dates, rules: Weights) -> Card:
    number, declared = dates.number, system.id in days.declared

    def judge(counts: Counts) -> Score:
        return score(shares(counts, declared, rules.least), rules.points)

    counts = days.of(system.id, range(number, 2 * number))
    each = (days.of(system.id, range(day, day + 1)) for day in range(number, 2 * number))
    return Card(
        system=system,
        dates=dates,
        counts=counts,
        score=judge(counts),
        before=judge(days.of(system.id, range(number))),
        days=tuple(
            Day(dates.first + timedelta(days=at), judge(own), _hours(own, (number + at) * HOURS))
            for at, own in enumerate(each)
        ),
    )


def _hours(counts: Counts, first: int) -> tuple[str, ...]:
    hours = range(first, first + HOURS)
    return tuple(HEARD if hour in counts.heard else FAILED if hour in counts.failed else SILENT for hour in hours)


def _allowed(today: date) -> str:
    return f"1 – {MOST_DAYS}, … – {today.isoformat()}"


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), VIETNAM).timestamp()
