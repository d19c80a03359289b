"""Figures: the value of each expected period of an indicator and area, or who owes it, and what was corrected.

    given     there is a value
    absent    it was handed in that there is none, with the reason; or its message is gone
    missing   nothing was handed in, and it was due: the owner is named
    awaited   nothing was handed in, and it is not due yet

A value of another unit or frequency than the definition's is shown, and says so (`differs`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from itertools import islice, pairwise
from typing import Any, Final, NamedTuple

from contracts.base.times import moment, rfc3339
from gateway.feeds.sessions import Span
from gateway.indicators import definitions
from gateway.indicators.definitions import Definition
from gateway.indicators.due import calendar_of, due
from gateway.indicators.errors import INDICATOR_PERIOD, INDICATOR_TOO_MANY, INDICATOR_UNKNOWN
from gateway.indicators.periods import Period, day_of
from gateway.indicators.values import Key, Observation, Source, read

MOST: Final = 20_000  # figures at once
_DAY: Final = timedelta(days=1)
Known = Mapping[str, Sequence[Definition]]  # the versions of each indicator


class State(StrEnum):
    GIVEN = "given"
    ABSENT = "absent"
    MISSING = "missing"
    AWAITED = "awaited"


class Correction(NamedTuple):
    """Who corrected it, and when, stands in the new observation."""

    old: Observation
    new: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`observations`: all that was handed in, oldest first. `late`: the first one came after it was due."""

    definition: Definition
    area: str
    period: Period
    due: float
    state: State
    observations: tuple[Observation, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.definition.code, self.area, str(self.period))

    @property
    def current(self) -> Observation | None:
        """What stands."""
        return self.observations[-1] if self.observations else None

    @property
    def value(self) -> Decimal | int | None:
        return None if self.current is None else self.current.value

    @property
    def late(self) -> bool:
        first = moment(self.observations[0].received) if self.observations else None
        return first is not None and first > self.due

    @property
    def corrections(self) -> tuple[Correction, ...]:
        return tuple(Correction(old, new) for old, new in pairwise(self.observations))

    @property
    def differs(self) -> tuple[str, ...]:
        """Which of unit and frequency is not the definition's."""
        each, stated = self.current, self.definition
        if each is None or each.value is None:
            return ()
        pairs = {"unit": (each.unit, stated.unit), "frequency": (each.frequency, stated.frequency)}
        return tuple(name for name, (given, defined) in pairs.items() if given and given != defined)

    def json(self) -> dict[str, Any]:
        each = self.current
        facts = {
            "indicator": self.definition.code,
            "version": self.definition.version,
            "area": self.area,
            "period": str(self.period),
            "frequency": self.definition.frequency,
            "unit": self.definition.unit,
            "owner": self.definition.owner,
            "due": rfc3339(self.due),
            "state": self.state.value,
            "late": self.late,
            "differs": list(self.differs),
            "corrections": [{"old": told(old), "new": told(new)} for old, new in self.corrections],
        }
        return facts if each is None else {**facts, **told(each)}


def told(each: Observation) -> dict[str, Any]:
    """An observation for programs. Its value is an exact number of JSON, or says why there is none."""
    words = {
        "status": each.status,
        "note": each.note,
        "updated": each.updated,
        "received": each.received,
        "agency": each.agency,
        "system": each.system,
        "transfer": each.transfer,
    }
    value = {"absent": each.absent} if each.value is None else each.value
    return {"value": value, **{name: word for name, word in words.items() if word}}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which figures: of periods that begin from `since` on and before `until`. Without codes or areas all of them."""

    since: date
    until: date
    codes: frozenset[str] = frozenset()
    areas: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, now: float, first: str = "", last: str = "", codes: Collection[str] = (), areas: Collection[str] = ()
    ) -> Wanted:
        """From the texts of periods. Without them the periods of this and the last year. Raises `indicator.period`."""
        one, other = Period.of(first), Period.of(last)
        since = date(day_of(now).year - 1, 1, 1) if one is None else one.begin
        until = date.max if other is None else other.end
        if first and one is None or last and other is None or since >= until:
            raise INDICATOR_PERIOD(field=last if first and one is not None else first or last)
        return cls(since, until, frozenset(codes), frozenset(areas))


class Figures(NamedTuple):
    """By indicator, area and period. `span`: what of the feed was read, for the log."""

    figures: tuple[Figure, ...]
    span: Span | None

    @property
    def owed(self) -> tuple[Figure, ...]:
        """Those that are missing, or that are said to have no value."""
        return tuple(each for each in self.figures if each.state in (State.MISSING, State.ABSENT))

    @property
    def corrected(self) -> tuple[Figure, ...]:
        return tuple(each for each in self.figures if each.corrections)


def figures(source: Source, known: Known, wanted: Wanted, now: float) -> Figures:
    """The figures of all periods that have begun. Raises `indicator.unknown` and `indicator.too-many`."""
    for code in sorted(wanted.codes):
        if code not in known:
            raise INDICATOR_UNKNOWN(code=code)
    every = list(islice(expected(known, wanted, now), MOST + 1))
    if len(every) > MOST:
        raise INDICATOR_TOO_MANY(most=MOST)
    reading = read(source, [key for _, key, _ in every])
    calendar = calendar_of(source.contract)
    due_at = cache(lambda definition, period: due(calendar, definition, period))
    found: list[Figure] = []
    for definition, key, period in every:
        observations, at = tuple(reading.values.get(key, ())), due_at(definition, period)
        found.append(
            Figure(
                definition=definition,
                area=key.area,
                period=period,
                due=at,
                state=state_of(observations, at, now),
                observations=observations,
            )
        )
    return Figures(tuple(found), reading.span)


def state_of(observations: Sequence[Observation], due: float, now: float) -> State:
    if observations:
        return State.GIVEN if observations[-1].value is not None else State.ABSENT
    return State.MISSING if due <= now else State.AWAITED


def expected(known: Known, wanted: Wanted, now: float) -> Iterator[tuple[Definition, Key, Period]]:
    """Each value that a definition asks for, of the periods that have begun."""
    until = min(wanted.until, day_of(now) + _DAY)
    for code, versions in sorted(known.items()):
        if wanted.codes and code not in wanted.codes:
            continue
        for definition, period in definitions.periods(versions, wanted.since, until):
            for area in definition.areas:
                if not wanted.areas or area in wanted.areas:
                    yield definition, Key(code, area, str(period)), period
