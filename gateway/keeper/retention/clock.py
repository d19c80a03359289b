"""Decides whether the present time is certain, before anything is destroyed by it.

A clock that is wrong at a start also stamps the entries of that start, so the newest entries prove nothing. One of
these is required:
- the log was written in each of the last days;
- this process saw the clock and the monotonic clock agree for two days;
- a time-stamp authority gave a time within two days of it;
- a person says so (`lgsp vault expire --clock-is-right`), for two days.
Invariant: no single jump of a clock, before or after a start, is accepted by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, func, select

from contracts.base.times import rfc3339
from gateway.journal.schema import tables
from gateway.vault.keys import Keys

DAY: Final = 86_400.0
ENOUGH: Final = 2 * DAY
_APART: Final = 3600.0  # the two clocks may differ by this before it counts as a jump
_WINDOWS: Final = 3
_entry: Final = tables.log_entry.c


class ClockMonitor:
    """The clock as this process has seen it since its first look."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic: Final = monotonic
        self._since: tuple[float, float] | None = None

    def lasted(self, now: float) -> bool:
        """Whether it has run long enough without a jump. Called at each look."""
        at = self._monotonic()
        if self._since is None or abs((now - self._since[0]) - (at - self._since[1])) > _APART:
            self._since = (now, at)
        return at - self._since[1] >= ENOUGH


def newest(connection: Connection) -> float | None:
    """When the newest entry was sequenced, by the clock at that time."""
    at = connection.scalar(select(_entry.sequenced).order_by(_entry.idx.desc()).limit(1))
    return None if at is None else float(at)


def confirmed(connection: Connection, keys: Keys, now: float) -> bool:
    """Whether the log, an authority or a person confirms this time."""
    stamped = connection.scalar(select(func.max(tables.stamp.c.time)))
    if stamped is not None and abs(now - float(stamped)) <= ENOUGH:
        return True
    return _person_confirms(keys, now) or all(_written(connection, now - day * DAY) for day in range(_WINDOWS))


def words(at: float | None) -> str:
    """A time as programs read it; a clock may give one without a date."""
    try:
        return "-" if at is None else rfc3339(at)
    except (ArithmeticError, ValueError, OSError):
        return str(at)


def _person_confirms(keys: Keys, now: float) -> bool:
    at = keys.clock_said()
    return at is not None and -_APART <= now - at <= ENOUGH


def _written(connection: Connection, end: float) -> bool:
    """Whether an entry was sequenced in the day before `end`. A binary search: these times never go back."""
    low, high = 0, connection.scalar(select(func.max(_entry.idx)))
    if high is None:
        return False
    high += 1  # will be the first entry after `end`, or one past the last
    while low < high:
        middle = (low + high) // 2
        at = connection.scalar(select(_entry.sequenced).where(_entry.idx == middle))
        if at is None or at <= end:  # a log that was restored in part may lack its first entries
            low = middle + 1
        else:
            high = middle
    at = connection.scalar(select(_entry.sequenced).where(_entry.idx == low - 1))
    return at is not None and end - DAY <= float(at)
