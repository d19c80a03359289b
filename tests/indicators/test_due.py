"""Due times count working days: compared with a count day by day, by the holidays of another package."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import holidays
from hypothesis import given
from hypothesis import strategies as st

from gateway.indicators.due import calendar_of, counted, due
from gateway.indicators.periods import Period
from gateway.indicators.values import CONTRACT
from security.grants.windows import VIETNAM
from tests.indicators.defining import definition
from tests.registry.making import contracts

CALENDAR = calendar_of(contracts()[CONTRACT])
KNOWN = holidays.country_holidays("VN", years=(2025, 2026))
WORKED = {date(2025, 4, 26), date(2026, 8, 22)}


def by_hand(end: date, days: int) -> datetime:
    day = end
    while days:
        days -= day in WORKED or day.weekday() < 5 and day not in KNOWN
        day += timedelta(days=1)
    return datetime.combine(day, datetime.min.time(), VIETNAM)


@given(st.integers(0, 21), st.integers(0, 40))
def test_working_days(month: int, days: int) -> None:
    period = Period("M", 2025 * 12 + month)
    at = due(CALENDAR, definition("M", due=days), period)
    assert datetime.fromtimestamp(at, VIETNAM) == by_hand(period.end, days)


def test_the_days_that_do_not_count_are_named() -> None:
    period = Period.of("2026-01")
    assert period is not None
    stretches = counted(CALENDAR, definition("M", due=14), period).stretches
    skipped = {each.day: each.told.en for each in stretches if not each.counted}
    assert date(2026, 2, 1) in skipped and "Lunar New Year" in skipped[date(2026, 2, 17)]
