"""Periods of SDMX: a year `2026`, a quarter `2026-Q3`, a month `2026-09`, of Vietnam's calendar."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final, Literal, NamedTuple, get_args

from security.grants.windows import VIETNAM

Frequency = Literal["A", "Q", "M"]  # codes of SDMX: annual, quarterly, monthly
FREQUENCIES: Final[tuple[Frequency, ...]] = get_args(Frequency)
_MONTHS: Final[dict[Frequency, int]] = {"A": 12, "Q": 3, "M": 1}
_TEXT: Final = re.compile(r"([0-9]{4})(?:-Q([1-4])|-(0[1-9]|1[0-2]))?")
_FIRST: Final = 1970


class Period(NamedTuple):
    """Periods of one frequency are numbered without gap."""

    frequency: Frequency
    number: int

    @classmethod
    def of(cls, text: str) -> Period | None:
        """None for a text that is no period, or one before 1970."""
        parts = _TEXT.fullmatch(text)
        if parts is None or not _FIRST <= int(parts[1]) < 9999:
            return None
        year, quarter, month = int(parts[1]), parts[2], parts[3]
        if quarter:
            return cls("Q", year * 4 + int(quarter) - 1)
        return cls("M", year * 12 + int(month) - 1) if month else cls("A", year)

    @classmethod
    def at(cls, frequency: Frequency, day: date) -> Period:
        """The period that a day lies in."""
        return cls(frequency, (day.year * 12 + day.month - 1) // _MONTHS[frequency])

    @property
    def begin(self) -> date:
        months = self.number * _MONTHS[self.frequency]
        return date(months // 12, months % 12 + 1, 1)

    @property
    def end(self) -> date:
        """The first day after it."""
        return self.next.begin

    @property
    def next(self) -> Period:
        return Period(self.frequency, self.number + 1)

    def __str__(self) -> str:
        day = self.begin
        if self.frequency == "Q":
            return f"{day.year:04}-Q{(day.month + 2) // 3}"
        return f"{day.year:04}" if self.frequency == "A" else f"{day:%Y-%m}"


def first_from(frequency: Frequency, day: date) -> Period:
    """The first period that begins on the day or later."""
    period = Period.at(frequency, day)
    return period if period.begin >= day else period.next


def midnight(day: date) -> float:
    """When a day begins in Vietnam, in Unix seconds."""
    return datetime(day.year, day.month, day.day, tzinfo=VIETNAM).timestamp()


def day_of(at: float) -> date:
    """The day in Vietnam of a Unix time."""
    return datetime.fromtimestamp(at, VIETNAM).date()
