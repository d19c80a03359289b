"""Which values of indicators are owed, when each is due, and when it was handed in first.

Invariant: only the keys of the feed are read; no value is opened.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from itertools import islice
from typing import Final

from sqlalchemy import Connection

from contracts.base.ids import arrived
from contracts.compiled.contract import CompiledContract
from gateway.indicators import definitions
from gateway.indicators.definitions import Definition
from gateway.indicators.due import calendar_of, due
from gateway.indicators.errors import INDICATOR_TOO_MANY
from gateway.indicators.figures import MOST, Known, Wanted, expected
from gateway.indicators.periods import Period, day_of
from gateway.indicators.values import Key, handed_in
from gateway.transfer.key_seals import HashId

YEARS: Final = 3  # before now, in which periods begin that are looked at


class State(StrEnum):
    IN_TIME = "in-time"
    LATE = "late"
    MISSING = "missing"
    AWAITED = "awaited"


@dataclass(frozen=True, slots=True)
class Owed:
    """The value of one indicator, area and period. Times are Unix seconds; `delivered`: when it first came."""

    definition: Definition
    area: str
    period: Period
    due: float
    delivered: float | None

    @property
    def key(self) -> Key:
        return Key(self.definition.code, self.area, str(self.period))

    def state(self, now: float) -> State:
        if self.delivered is not None:
            return State.LATE if self.delivered > self.due else State.IN_TIME
        return State.MISSING if self.due <= now else State.AWAITED


@dataclass(frozen=True, slots=True)
class Asking:
    """Where the keys are, and whose values are asked for: of one owner, or of all."""

    connection: Connection
    contract: CompiledContract
    hash_id: HashId
    owner: str | None = None

    def has(self, definition: Definition) -> bool:
        return self.owner in (None, definition.owner)


def owed(asking: Asking, known: Known, wanted: Wanted, now: float) -> list[Owed]:
    """By indicator, period and area. Raises `indicator.too-many`."""
    every = (each for each in expected(known, wanted, now) if asking.has(each[0]))
    found = list(islice(every, MOST + 1))
    if len(found) > MOST:
        raise INDICATOR_TOO_MANY(most=MOST)
    calendar = calendar_of(asking.contract)
    due_at = cache(lambda definition, period: due(calendar, definition, period))
    return _with_times(asking, [(each, key, period, due_at(each, period)) for each, key, period in found])


def newest(asking: Asking, known: Known, now: float, most: int) -> list[Owed]:
    """Of each indicator and area the newest value that is due; at most so many."""
    calendar, found = calendar_of(asking.contract), list[tuple[Definition, Key, Period, float]]()
    since = date(day_of(now).year - YEARS, 1, 1)
    for code, versions in sorted(known.items()):
        for definition, period in reversed(list(definitions.periods(versions, since, day_of(now)))):
            if (at := due(calendar, definition, period)) <= now:
                areas: Collection[str] = definition.areas if asking.has(definition) else ()
                found += [(definition, Key(code, area, str(period)), period, at) for area in areas]
                break
        if len(found) >= most:
            break
    return _with_times(asking, found[:most])


def _with_times(asking: Asking, found: Sequence[tuple[Definition, Key, Period, float]]) -> list[Owed]:
    rows = handed_in(asking.connection, asking.contract, asking.hash_id, [key for _, key, _, _ in found])
    first = {key: arrived(each[0].transfer) for key, each in rows.items() if each}
    return [Owed(definition, key.area, period, at, first.get(key)) for definition, key, period, at in found]
