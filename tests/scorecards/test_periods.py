"""Periods of a declared frequency against the calendar, and times in business keys."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.canonical.model import Pattern
from contracts.compiled.contract_file import FREQUENCIES
from gateway.scorecards import periods
from gateway.scorecards.cards import MOST_DAYS, BadDays, Dates
from security.grants.windows import VIETNAM
from tests.registry.making import contracts

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=VIETNAM).timestamp()
MOMENTS = st.integers(0, 250_000_000_000).map(lambda at: at / 10)


@given(st.sampled_from(sorted(periods.PERIODIC)), MOMENTS)
def test_each_moment_lies_in_one_period(frequency: str, at: float) -> None:
    number = periods.number_of(frequency, at)
    begin, end = periods.begin_of(frequency, number), periods.begin_of(frequency, number + 1)
    assert begin <= at < end
    first = datetime.fromtimestamp(begin, VIETNAM)
    assert (first.minute, first.second) == (0, 0) and (frequency == "HOURLY" or first.hour == 0)
    assert frequency != "WEEKLY" or first.weekday() == 0
    assert frequency in ("HOURLY", "DAILY", "WEEKLY") or first.day == 1
    assert periods.due_of(frequency, number) == periods.begin_of(frequency, number + 2)


@given(st.sampled_from(sorted(periods.PERIODIC)), MOMENTS, st.floats(0, 4e7))
def test_what_falls_due_within_a_time(frequency: str, since: float, length: float) -> None:
    until = since + length
    found = periods.due_within(frequency, since, until)
    for number in {found.start, found.stop - 1} if found else ():
        assert since < periods.due_of(frequency, number) <= until
    assert periods.due_of(frequency, found.start - 1) <= since
    assert not found or periods.due_of(frequency, found.stop) > until


@pytest.mark.parametrize(
    ("frequency", "name", "begin"),
    [
        ("HOURLY", "2026-11-27T09:00", datetime(2026, 11, 27, 9)),
        ("DAILY", "2026-11-27", datetime(2026, 11, 27)),
        ("WEEKLY", "2026-11-23", datetime(2026, 11, 23)),
        ("MONTHLY", "2026-11", datetime(2026, 11, 1)),
        ("QUARTERLY", "2026-Q4", datetime(2026, 10, 1)),
        ("ANNUAL_2", "2026-H2", datetime(2026, 7, 1)),
        ("ANNUAL", "2026", datetime(2026, 1, 1)),
        ("BIENNIAL", "2026", datetime(2026, 1, 1)),
    ],
)
def test_names_of_periods(frequency: str, name: str, begin: datetime) -> None:
    number = periods.number_of(frequency, NOW)
    assert periods.name_of(frequency, number) == name
    assert periods.begin_of(frequency, number) == begin.replace(tzinfo=VIETNAM).timestamp()


def test_frequencies_without_a_period_expect_nothing() -> None:
    assert FREQUENCIES - periods.PERIODIC == {"UPDATE_CONT", "IRREG", "UNKNOWN"}


def test_which_part_of_a_key_is_the_time() -> None:
    found = {
        (name, operation.name): periods.time_part(operation.identity, compiled.messages[operation.request])
        for name, compiled in contracts().items()
        for operation in compiled.contract.operations.values()
        if operation.pattern is Pattern.SUBMIT
    }
    dated = {key: part for key, part in found.items() if part is not None}
    assert dated["observation/v1", "submitObservation"] == 1
    assert dated["observation/v1", "submitReadings"] == 1
    assert dated["indicator/v1", "submitValues"] == 2
    assert ("observation/v1", "registerDatastream") not in dated and ("incident-alert/v1", "submitAlert") not in dated


@pytest.mark.parametrize(
    ("subject", "times"),
    [
        ("D,2026-09-01T00:00:00Z", ["2026-09-01T07:00:00"]),
        ("D%2C1,2026-09-01T00:00:00%2B07:00 E,2026-09-01T08:00:00Z", ["2026-09-01T00:00:00", "2026-09-01T15:00:00"]),
        ("D,2026-09", ["2026-09-30T23:59:59.999999"]),
        ("D,2026-Q3", ["2026-09-30T23:59:59.999999"]),
        ("D,2026", ["2026-12-31T23:59:59.999999"]),
        ("D,2026-09-01", ["2026-09-01T23:59:59.999999"]),
        ("D,2026-09-01T00:00:00", []),  # no zone
        ("D D,x D,2026-13 D,0000 D,0001 D,9999 D,2026-02-30 D,9999-12-31T23:59:59Z D,0001-01-01T00:00:00Z +7", []),
    ],
)
def test_the_times_in_a_subject(subject: str, times: list[str]) -> None:
    wanted = [datetime.fromisoformat(each).replace(tzinfo=VIETNAM).timestamp() for each in times]
    assert list(periods.data_times(subject, 1)) == pytest.approx(wanted, abs=1e-5)
    for at in periods.data_times(subject, 1):
        for frequency in periods.PERIODIC:
            periods.begin_of(frequency, periods.number_of(frequency, at) + 2)


def test_dates_of_a_card() -> None:
    assert Dates.of(NOW).last.isoformat() == "2026-11-26" and Dates.of(NOW).number == 30
    assert Dates.of(NOW, "2026-11-27", "2026-11-27").number == 1
    week = Dates.of(NOW, days=7)
    assert week.first.isoformat() == "2026-11-20" and week.span.days == 14
    assert datetime.fromtimestamp(week.span.until, VIETNAM) == datetime(2026, 11, 27, tzinfo=VIETNAM)
    for first, last in (
        ("2026-11-28", "2026-11-28"),
        ("2026-11-20", "2026-11-19"),
        ("x", ""),
        ("", "2026-11-31"),
        ("0001-01-01", "0001-01-02"),
        ("", "0001-01-01"),
        ((week.last - timedelta(days=MOST_DAYS)).isoformat(), "2026-11-26"),
    ):
        with pytest.raises(BadDays):
            Dates.of(NOW, first, last)
