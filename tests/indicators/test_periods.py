"""Periods are named as SDMX names them, and follow one another without gap."""

from __future__ import annotations

from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.indicators.periods import FREQUENCIES, Frequency, Period, first_from

DAYS = st.dates(date(1970, 1, 1), date(9990, 12, 31))


@given(st.sampled_from(FREQUENCIES), DAYS)
def test_a_day_lies_in_one_period_whose_name_reads_back(frequency: Frequency, day: date) -> None:
    period = Period.at(frequency, day)
    assert period.begin <= day < period.end == period.next.begin
    assert Period.of(str(period)) == period
    assert Period.at(frequency, period.end - timedelta(days=1)) == period
    assert first_from(frequency, day).begin >= day > first_from(frequency, day).begin - timedelta(days=367)


@pytest.mark.parametrize("text", ["", "26", "2026-Q0", "2026-Q5", "2026-13", "2026-00", "2026-9", "1969", "2026-09-01"])
def test_no_period(text: str) -> None:
    assert Period.of(text) is None


def test_names() -> None:
    assert [str(Period.at(each, date(2026, 9, 30))) for each in get_args(Frequency)] == ["2026", "2026-Q3", "2026-09"]
