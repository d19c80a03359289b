"""Civil time in Vietnam: the hours in which a grant is valid, and the windows of its quota.

Vietnam has UTC+07:00 all year (`Asia/Ho_Chi_Minh`), so civil time is arithmetic without a zone table. Holidays are not
considered. Invariant: pure functions of the given time; a moment is in exactly one window of a quota.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

from contracts.base.words import WordsFile

VIETNAM: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
words = WordsFile(__file__)
PERIODS: Final = ("minute", "hour", "day", "month")
MOST_CALLS: Final = 1_000_000_000
_DAY: Final = 86_400
_WEEK: Final = 7 * _DAY
_MONDAY: Final = 7 * 3600 + 3 * _DAY  # 1970-01-01 was a Thursday; at +07:00
_LENGTHS: Final = {"minute": 60, "hour": 3600, "day": _DAY}
_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LAST: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=VIETNAM).timestamp()
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def civil(at: float | str, *, seconds: bool = False) -> str:
    """A moment for people, in Vietnam's time: `2026-11-25T07:00+07:00`. For programs: `contracts.base.times.rfc3339`.

    A text of RFC 3339 is accepted too; other texts are returned unchanged. What lies before the year 1 or after 9999 in
    Vietnam is shown as the first or the last moment.
    """
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at).timestamp()
        except (ValueError, OverflowError):
            return str(at)
    at = min(max(at, _FIRST), _LAST)
    return datetime.fromtimestamp(at, VIETNAM).isoformat(timespec="seconds" if seconds else "minutes")


def last_day(until: float) -> str:
    """The last day of a validity that ends at `until`, in Vietnam; the moment itself if it is no midnight."""
    at = datetime.fromtimestamp(until, VIETNAM)
    return civil(until) if at.time() != time() else (at - timedelta(days=1)).date().isoformat()


def first_day(since: float) -> str:
    """The day on which a validity begins, in Vietnam; the moment itself if it is no midnight."""
    at = datetime.fromtimestamp(since, VIETNAM)
    return civil(since) if at.time() != time() else at.date().isoformat()


class Moment(str):
    """A moment of RFC 3339 among facts: programs get it unchanged, words show it in Vietnam's time."""

    __slots__ = ()

    def __format__(self, how: str) -> str:
        return format(civil(str(self)), how)


def moment(text: str, *, whole_day: bool = False) -> float:
    """Unix time of a day or moment written by a person; without an offset, Vietnam's time.

    `whole_day`: the end of a day. ValueError for other texts.
    """
    at = datetime.fromisoformat(text)
    if whole_day and _is_day(text):
        at += timedelta(days=1)
    return (at if at.tzinfo is not None else at.replace(tzinfo=VIETNAM)).timestamp()


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Hours:
    """Days of the week with start and end. `until` at or before `start` means the next day."""

    days: tuple[str, ...]
    start: str
    until: str
    # Seconds of a week from Monday; an end may exceed the week.
    _open: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.days or set(self.days) - set(DAYS) or len(set(self.days)) != len(self.days):
            raise ValueError(f"days are {', '.join(DAYS)}, each once")
        for text in (self.start, self.until):
            if not _CLOCK.fullmatch(text):
                raise ValueError(f"a time of day is HH:MM, not {text!r}")
        object.__setattr__(self, "days", tuple(day for day in DAYS if day in self.days))
        start, until = _seconds(self.start) % _DAY, _seconds(self.until)
        length = (until - start) % _DAY or _DAY
        object.__setattr__(
            self, "_open", tuple((at, at + length) for day in self.days for at in (DAYS.index(day) * _DAY + start,))
        )

    def holds(self, now: float) -> bool:
        at = (now + _MONDAY) % _WEEK
        return any(start <= at < end or start <= at + _WEEK < end for start, end in self._open)

    def next_open(self, now: float) -> float:
        """The start of the next window after `now`."""
        at = (now + _MONDAY) % _WEEK
        return now + min((start - at) % _WEEK or _WEEK for start, _ in self._open)

    def next_change(self, now: float) -> float:
        """The time until which the result of `holds` cannot change."""
        at = (now + _MONDAY) % _WEEK
        return now + min((edge - at) % _WEEK or _WEEK for window in self._open for edge in window)

    def __str__(self) -> str:
        return f"{' '.join(self.days)} {self.start}–{self.until}"

    def to_json(self) -> dict[str, object]:
        return {"days": list(self.days), "from": self.start, "until": self.until}

    @classmethod
    def from_json(cls, value: object) -> Hours:
        if not isinstance(value, Mapping) or set(value) != {"days", "from", "until"}:
            raise ValueError("hours are {days, from, until}")
        days = value["days"]
        if not isinstance(days, (list, tuple)) or not all(
            isinstance(each, str) for each in (*days, value["from"], value["until"])
        ):
            raise ValueError('hours are texts: {days: [mon, tue], from: "07:00", until: "17:30"}')
        return cls(tuple(days), value["from"], value["until"])


@dataclass(frozen=True, slots=True)
class Window:
    """A span in which calls are counted, in Unix seconds; `ends` is exclusive."""

    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Quota:
    """Calls allowed in each minute, hour, day or month of Vietnam's calendar, counted separately for each agency."""

    calls: int
    per: str

    def __post_init__(self) -> None:
        if not 1 <= self.calls <= MOST_CALLS:
            raise ValueError(f"calls are 1 to {MOST_CALLS}")
        if self.per not in PERIODS:
            raise ValueError(f"per is one of {', '.join(PERIODS)}")

    def window(self, now: float) -> Window:
        if self.per in _LENGTHS:
            length = _LENGTHS[self.per]
            begins = (int(now) + 7 * 3600) // length * length - 7 * 3600
            return Window(begins, begins + length)
        first = datetime.fromtimestamp(now, VIETNAM).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        after = (first + timedelta(days=32)).replace(day=1)
        return Window(int(first.timestamp()), int(after.timestamp()))

    def __str__(self) -> str:
        return f"{self.calls}/{self.per}"

    def to_json(self) -> dict[str, object]:
        return {"calls": self.calls, "per": self.per}

    @classmethod
    def from_json(cls, value: object) -> Quota:
        if not isinstance(value, Mapping) or set(value) != {"calls", "per"}:
            raise ValueError("a quota is {calls, per}")
        calls, per = value["calls"], value["per"]
        if isinstance(calls, bool) or not isinstance(calls, int) or not isinstance(per, str):
            raise ValueError("a quota is a whole number of calls per minute, hour, day or month")
        return cls(calls, per)


def _seconds(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60
