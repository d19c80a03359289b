"""Whether the present time is to be believed, before anything is destroyed by it.

A clock that is wrong at a start stamps the start's own entries too, so that what the log says right after tells nothing. Belief comes from time that
passed, or from outside: the log was written in each of the last days; or this process watched the clock and the monotonic one agree for two days; or a
time-stamp authority said a time within two days of it; or a person says so (`lgsp vault expire --clock-is-right`), for two days.
Invariant: no single leap of a clock, before or after a start, is ever believed by itself.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from contracts.base.times import rfc3339
from gateway.journal.schema import tables

DAY: Final = 86_400.0
ENOUGH: Final = 2 * DAY
_APART: Final = 3600.0  # by how much the two clocks may part before it counts as a leap
_WINDOWS: Final = 3
_WORD: Final = "clock-is-right"
_entry: Final = tables.log_entry.c


class ClockMonitor:
    """The clock as one process has seen it since its first look."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic: Final = monotonic
        self._since: tuple[float, float] | None = None

    def lasted(self, now: float) -> bool:
        """Whether it has gone on for long enough without a leap. To be called at each look."""
        at = self._monotonic()
        if self._since is None or abs((now - self._since[0]) - (at - self._since[1])) > _APART:
            self._since = (now, at)
        return at - self._since[1] >= ENOUGH


def newest(connection: Connection) -> float | None:
    """When the newest entry was sequenced, by the clock of then."""
    found = connection.scalar(select(_entry.sequenced).order_by(_entry.idx.desc()).limit(1))
    return None if found is None else float(found)


def vouched(connection: Connection, keys: Path, now: float) -> bool:
    """Whether the log, an authority or a person speaks for this time."""
    stamped = connection.scalar(select(func.max(tables.stamp.c.time)))
    if stamped is not None and abs(now - float(stamped)) <= ENOUGH:
        return True
    return _said(keys, now) or all(_written(connection, now - day * DAY) for day in range(_WINDOWS))


def say(keys: Path, now: float) -> None:
    """A person's word that it is about `now`; it stands for two days, for every process."""
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = keys / f".{_WORD}.{secrets.token_hex(8)}"
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, repr(now).encode("ascii"))
        os.fsync(file)
    finally:
        os.close(file)
    draft.replace(keys / _WORD)


def words(at: float | None) -> str:
    """A time as programs read it; a clock may say one that has no date."""
    try:
        return "-" if at is None else rfc3339(at)
    except (ArithmeticError, ValueError, OSError):
        return str(at)


def _said(keys: Path, now: float) -> bool:
    try:
        at = float((keys / _WORD).read_text("ascii"))
    except (OSError, ValueError):
        return False
    return -_APART <= now - at <= ENOUGH


def _written(connection: Connection, end: float) -> bool:
    """Whether an entry was sequenced in the day before `end`. Times of sequencing never go back, so that halving finds it."""
    low, high = 0, connection.scalar(select(func.max(_entry.idx)))
    if high is None:
        return False
    high += 1  # the first entry that is after `end`, or past the last
    while low < high:
        middle = (low + high) // 2
        at = connection.scalar(select(_entry.sequenced).where(_entry.idx == middle))
        if at is None or at <= end:  # a log that was restored in part may lack its first entries
            low = middle + 1
        else:
            high = middle
    at = connection.scalar(select(_entry.sequenced).where(_entry.idx == low - 1))
    return at is not None and end - DAY <= float(at)
