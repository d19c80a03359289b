"""Counts working time: when a deadline is due, and for each minute until then whether it counted and why not.

Times are whole minutes of Unix time; a second counts to the minute in which it lies. A calendar has one offset from
UTC and no summer time: Viet Nam has had +07:00 all year since 1975.
Invariant: the stretches of a deadline follow one another without gap, from its start to its end.
Invariant: the counted minutes of these stretches add up to the minutes of the deadline.
Invariant: the work is bounded by `MOST_DAYS`, whatever the calendar says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from contracts.base.words import Words, WordsFile

DAY: Final = 24 * 60  # minutes
MOST_DAYS: Final = 3 * 366  # that a deadline may span
_EPOCH: Final = date(1970, 1, 1)
_words: Final = WordsFile(__file__)
Periods = tuple[tuple[int, int], ...]  # of one day: minute of the day at which each begins, and at which it ends


class Why(StrEnum):
    """Why a stretch of time counts or not."""

    WORKING = "working"
    BEFORE = "before-hours"
    BREAK = "break"  # between two periods of one day, such as lunch
    AFTER = "after-hours"
    DAY_OFF = "day-off"  # a weekday without hours
    HOLIDAY = "holiday"
    PAUSED = "paused"  # the agency waits for the reporter


@dataclass(frozen=True, slots=True)
class Pause:
    """Minutes of Unix time in which no deadline runs. `end` is None while it lasts."""

    start: int
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes `start` to `end` (exclusive) of Unix time that count, or that do not, for one reason."""

    start: int
    end: int
    why: Why
    day: date
    name: Words | None = None  # of the holiday, or why a free day is worked

    @property
    def minutes(self) -> int:
        return self.end - self.start

    @property
    def counted(self) -> bool:
        return self.why is Why.WORKING

    @property
    def told(self) -> Words:
        """Why it counts or not, in words."""
        if self.name is None:
            return _words(self.why.value)
        return _words("worked" if self.counted else self.why.value, name=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The working hours of an office. `hours` are by weekday, 0 is Monday; periods are in order and do not touch.

    `working_days` are free days that are worked by order, as in exchange for a bridge day. They have Monday's hours.
    """

    title: Words
    hours: Mapping[int, Periods]
    holidays: Mapping[date, Words] = field(default_factory=dict)
    working_days: Mapping[date, Words] = field(default_factory=dict)
    offset: int = 7 * 60  # minutes by which local time is ahead of UTC

    @property
    def weekly(self) -> int:
        """Working minutes of a week without holidays."""
        return sum(closes - opens for periods in self.hours.values() for opens, closes in periods)

    def day_of(self, minute: int) -> date:
        return _EPOCH + timedelta(days=(minute + self.offset) // DAY)

    def begin_of(self, day: date) -> int:
        """The minute of Unix time at which a local day begins."""
        return (day - _EPOCH).days * DAY - self.offset

    def of_day(self, day: date) -> Iterator[Stretch]:
        """The stretches of one day, from midnight to midnight."""
        begin = self.begin_of(day)
        name: Words | None = None
        if day in self.working_days:
            periods, name = self.hours.get(0, ()), self.working_days[day]
        elif day in self.holidays:
            yield Stretch(begin, begin + DAY, Why.HOLIDAY, day, self.holidays[day])
            return
        else:
            periods = self.hours.get(day.weekday(), ())
        if not periods:
            yield Stretch(begin, begin + DAY, Why.DAY_OFF, day)
            return
        at = 0
        for opens, closes in periods:
            if at < opens:
                yield Stretch(begin + at, begin + opens, Why.BREAK if at else Why.BEFORE, day)
            yield Stretch(begin + opens, begin + closes, Why.WORKING, day, name)
            at = closes
        if at < DAY:
            yield Stretch(begin + at, begin + DAY, Why.AFTER, day)

    def at(self, minute: int) -> Stretch:
        """The stretch in which a minute lies: whether the office works then, and why not."""
        return next(each for each in self.of_day(self.day_of(minute)) if each.start <= minute < each.end)


@dataclass(frozen=True, slots=True)
class Deadline:
    """`due` is None while a pause lasts that began before the minutes were used up: then nobody knows."""

    start: int
    minutes: int
    due: int | None
    stretches: tuple[Stretch, ...]

    @property
    def counted(self) -> int:
        return sum(stretch.minutes for stretch in self.stretches if stretch.counted)


def minute_of(seconds: float) -> int:
    """Unix time in seconds to the minute in which it lies."""
    return int(seconds // 60)


def deadline(calendar: Calendar, start: int, minutes: int, pauses: Sequence[Pause] = ()) -> Deadline:
    """When `minutes` of working time after `start` are used up. A deadline of no minutes is due at its start.

    Raises: ValueError, if the calendar has too little working time in `MOST_DAYS`. Contracts are checked for it.
    """
    left, stretches = minutes, []
    if left <= 0:
        return Deadline(start, minutes, start, ())
    for stretch in _from(calendar, start, pauses):
        if stretch.counted:
            used = min(left, stretch.minutes)
            left -= used
            stretch = _cut(stretch, stretch.start, stretch.start + used)
        stretches.append(stretch)
        if not left:
            return Deadline(start, minutes, stretch.end, tuple(stretches))
    if any(pause.end is None for pause in pauses):
        return Deadline(start, minutes, None, tuple(stretches))
    raise ValueError(f"less than {minutes} working minutes in {MOST_DAYS} days")


def between(calendar: Calendar, start: int, end: int, pauses: Sequence[Pause] = ()) -> tuple[Stretch, ...]:
    """What lies between two times: with it a page says how much of a deadline is used up, and a report how long
    something took."""
    stretches = []
    for stretch in _from(calendar, start, pauses):
        if stretch.start >= end:
            break
        stretches.append(_cut(stretch, stretch.start, min(end, stretch.end)))
    return tuple(stretches)


def counted(stretches: Iterable[Stretch]) -> int:
    return sum(stretch.minutes for stretch in stretches if stretch.counted)


def _from(calendar: Calendar, start: int, pauses: Sequence[Pause]) -> Iterator[Stretch]:
    """The stretches from `start` on, until an endless pause begins or `MOST_DAYS` are over."""
    closed = _merged(pauses)
    day, index = calendar.day_of(start), 0
    for number in range(MOST_DAYS):
        for whole in calendar.of_day(day + timedelta(days=number)):
            at = max(whole.start, start)
            while at < whole.end:
                begins, ends = closed[index] if index < len(closed) else (whole.end, None)
                if ends is not None and ends <= at:
                    index += 1
                    continue
                if begins >= whole.end:
                    until, why = whole.end, whole.why
                elif begins > at:
                    until, why = begins, whole.why
                elif ends is None:
                    return
                else:
                    until, why = min(ends, whole.end), Why.PAUSED
                yield Stretch(at, until, why, whole.day, None if why is Why.PAUSED else whole.name)
                at = until


def _merged(pauses: Sequence[Pause]) -> list[tuple[int, int | None]]:
    """Ordered, without overlaps and without those of no length."""
    merged: list[tuple[int, int | None]] = []
    for pause in sorted(pauses, key=lambda each: each.start):
        if pause.end is not None and pause.end <= pause.start:
            continue
        if not merged:
            merged.append((pause.start, pause.end))
            continue
        last_start, last_end = merged[-1]
        if last_end is None:
            break
        if pause.start > last_end:
            merged.append((pause.start, pause.end))
        else:
            merged[-1] = (last_start, None if pause.end is None else max(last_end, pause.end))
    return merged


def _cut(stretch: Stretch, start: int, end: int) -> Stretch:
    return Stretch(start, end, stretch.why, stretch.day, stretch.name)
