"""The period of a report: a month of Vietnam's calendar, or from one day to another."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from contracts.base.words import Words, WordsFile
from gateway.scorecards.figures import Span
from security.grants.windows import VIETNAM

MOST_DAYS: Final = 366
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_words: Final = WordsFile(__file__)


class BadPeriod(ValueError):
    """A period that no report can be of. The text says what is allowed."""


@dataclass(frozen=True, slots=True)
class Period:
    first: date
    last: date

    @classmethod
    def of(cls, now: float, month: str = "", first: str = "", last: str = "") -> Period:
        """A month as `2026-11`, or two days. Without any it is the month before. Raises BadPeriod."""
        today = datetime.fromtimestamp(now, VIETNAM).date()
        allowed = f"2026-11; 2026-11-01 – 2026-11-30; 1 – {MOST_DAYS}, … – {today.isoformat()}"
        if not (month or first or last):
            month = (today.replace(day=1) - timedelta(days=1)).isoformat()[:7]
        try:
            if month:
                named = _MONTH.fullmatch(month)
                if named is None or first or last:
                    raise BadPeriod(allowed)
                year, number = int(named[1]), int(named[2])
                since, until = date(year, number, 1), date(year, number, monthrange(year, number)[1])
                until = min(until, today) if since <= today else until
            else:
                since, until = date.fromisoformat(first), date.fromisoformat(last)
        except ValueError:
            raise BadPeriod(allowed) from None
        if not since <= until <= today or (until - since).days >= MOST_DAYS or since.year < 1971:
            raise BadPeriod(allowed)
        return cls(since, until)

    @classmethod
    def from_days(cls, first: str, last: str) -> Period:
        """Of stored days."""
        return cls(date.fromisoformat(first), date.fromisoformat(last))

    def day(self, at: int) -> str:
        """The day `at` days after the first, short: `5`, or `5/11` in a period of several months."""
        day = self.first + timedelta(days=at)
        return str(day.day) if self.is_month else f"{day.day}/{day.month}"

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def span(self) -> Span:
        return Span(_midnight(self.first), _midnight(self.last + timedelta(days=1)))

    @property
    def is_month(self) -> bool:
        return self.first.day == 1 and self.last == self.first.replace(
            day=monthrange(self.first.year, self.first.month)[1]
        )

    def over(self, now: float) -> bool:
        return self.span.until <= now

    @property
    def name(self) -> Words:
        """Such as `tháng 11 năm 2026`."""
        if self.is_month:
            names = {"month_vi": shown_month(self.first.month), "month_en": f"{self.first:%B}"}
            return _words("period.month", **names, year=self.first.year)
        return _words("period.days", first=shown_day(self.first), last=shown_day(self.last))


def shown_day(day: date | str) -> Words:
    """`01/11/2026`, `1 November 2026`."""
    day = date.fromisoformat(day) if isinstance(day, str) else day
    return Words(f"{day:%d/%m/%Y}", f"{day.day} {day:%B} {day.year}")


def shown_month(month: int) -> str:
    """With a zero before 1 and 2 alone (NĐ 30/2020, annex I)."""
    return f"{month:02}" if month < 3 else str(month)


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), VIETNAM).timestamp()
