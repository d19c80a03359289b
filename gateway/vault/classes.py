"""Declares the retention classes: how long a body is kept, by the evidence and months of its contract.

    m<months>   kept for that many months after the day it was sealed            m24, m60, m120
    short       what delivery and repeats need of a contract that keeps metadata only: a week
    open        what an open transfer needs, of a contract that keeps nothing: removed when it has ended
    standard    what was sealed before there were classes: as long as the longest contract at that time

The class is in the id of the key (`<day>.<class>` or `<day>.<class>.<hold>`), so the key alone says when it is due.
Where a key was lost, the next one of its day and class is `<id>~2`.
Invariant: a key is never due before each body that it seals was kept for the whole time; days and months are UTC.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Final

from contracts.canonical.model import Evidence, Pattern

SHORT: Final = "short"
OPEN: Final = "open"
BEFORE: Final = "standard"
DEFAULT: Final = "m24"
SHORT_DAYS: Final = 7  # longer than a message waits in the queue (`delivery.policy`)
OPEN_DAYS: Final = 1
_BEFORE_MONTHS: Final = 120
_KEY: Final = re.compile(r"(\d{4}-\d\d-\d\d)\.([a-z0-9-]{1,40})(?:\.([a-z0-9-]{1,40}))?(?:~[1-9]\d{0,2})?")
_MONTHS: Final = re.compile(r"m([1-9]\d{0,3})")
HOLD_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class KeyName:
    """The parts of a key's id."""

    id: str
    day: date
    retention: str
    hold: str | None

    @classmethod
    def of(cls, key_id: str) -> KeyName | None:
        """None for a text that is no key's id."""
        match = _KEY.fullmatch(key_id)
        if match is None:
            return None
        try:
            return cls(key_id, date.fromisoformat(match[1]), match[2], match[3])
        except ValueError:
            return None

    @property
    def due(self) -> float | None:
        """When its retention ends, in Unix seconds. None for an unknown class or an end past all dates."""
        try:
            if self.retention in _DAYS:
                last = self.day + timedelta(days=_DAYS[self.retention])
            else:
                months = _MONTHS.fullmatch(self.retention)
                if months is None and self.retention != BEFORE:
                    return None
                last = add_months(self.day, _BEFORE_MONTHS if months is None else int(months[1]))
            last += timedelta(days=1)  # a body may be from the day's last second
        except (OverflowError, ValueError):
            return None
        return datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp()


_DAYS: Final = {SHORT: SHORT_DAYS, OPEN: OPEN_DAYS}


def add_months(day: date, months: int) -> date:
    """The same day of the month, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def key_id(now: float, retention: str) -> str:
    """The id of the key of that day."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}.{retention}"


@dataclass(frozen=True, slots=True)
class Keeping:
    """The class of each part of a transfer; None for a part that is not kept at all."""

    named: Mapping[str, str | None]
    rest: str | None

    def of(self, part: str) -> str | None:
        return self.named.get(part, self.rest)


SALT_PART: Final = "salt"
Parts = Iterable[tuple[str, bytes]]


@cache
def keeping(evidence: Evidence, months: int, pattern: Pattern) -> Keeping:
    """The classes of the parts of such a transfer.

    `metadata` keeps the salt, so that an original can still be proved against the log's digest. Of what was handed in
    it keeps the canonical message for the feed. `none` keeps what a queued message needs until it has ended.
    """
    long = f"m{months}"
    if evidence == "full":
        return Keeping(MappingProxyType({}), long)  # the salt is stored before the request
    if evidence == "metadata":
        named: dict[str, str | None] = {SALT_PART: long}
        if pattern is Pattern.SUBMIT:
            named["canonical"] = long
        return Keeping(MappingProxyType(named), SHORT)
    needed = {"request": OPEN, "canonical": OPEN} if pattern is Pattern.DISPATCH else {}
    return Keeping(MappingProxyType(needed), None)
