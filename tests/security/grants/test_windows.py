"""Hours and quotas against the calendar of Python's zone tables."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.grants.windows import DAYS, PERIODS, Hours, Moment, Quota, civil

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
times = st.integers(1_700_000_000, 2_000_000_000).map(float)
clocks = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))
hours = st.builds(
    lambda days, a, b: Hours(tuple(days), a, b), st.sets(st.sampled_from(DAYS), min_size=1), clocks, clocks
)


def by_calendar(window: Hours, now: float) -> bool:
    """The same, with dates: a window that begins today or yesterday holds the moment."""
    here = datetime.fromtimestamp(now, HANOI)
    for back in (0, 1):
        day = (here - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        if DAYS[day.weekday()] not in window.days:
            continue
        begin, end = (
            day + timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in (window.start, window.until)
        )
        if end <= begin:
            end += timedelta(days=1)
        if begin <= here < end:
            return True
    return False


@given(hours, times)
def test_hours_by_the_calendar(window: Hours, now: float) -> None:
    assert window.holds(now) is by_calendar(window, now)


@given(hours, times)
def test_the_next_opening_is_one_and_nothing_changes_before_the_next_change(window: Hours, now: float) -> None:
    opens, changes = window.next_open(now), window.next_change(now)
    assert now < changes <= opens <= now + 7 * 86400
    assert window.holds(opens)
    middle = now + (changes - now) / 2
    assert window.holds(middle) is window.holds(now)


@given(st.sampled_from(list(PERIODS)), times)
def test_a_moment_lies_in_one_window_of_the_calendar(per: str, now: float) -> None:
    window = Quota(1, per).window(now)
    assert window.begins <= now < window.ends
    assert Quota(1, per).window(float(window.begins)) == window and Quota(1, per).window(window.ends - 0.5) == window
    assert Quota(1, per).window(float(window.ends)).begins == window.ends
    first, here = datetime.fromtimestamp(window.begins, HANOI), datetime.fromtimestamp(now, HANOI)
    parts = {"minute": 5, "hour": 4, "day": 3, "month": 2}[per]
    assert first.timetuple()[:parts] == here.timetuple()[:parts] and first.second == 0


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"days": ["mon"], "from": "07:00", "until": "25:00"},
        {"days": ["mon", "mon"], "from": "07:00", "until": "08:00"},
        {"days": [], "from": "07:00", "until": "08:00"},
        {"days": ["mo"], "from": "07:00", "until": "08:00"},
        {"days": ["mon"], "from": 7, "until": 8},
        {"days": "mon", "from": "07:00", "until": "08:00"},
    ],
)
def test_hours_of_another_shape_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        Hours.from_json(value)


@pytest.mark.parametrize(
    "value", [None, {"calls": 0, "per": "day"}, {"calls": 1, "per": "week"}, {"calls": 1.5, "per": "day"}, {"calls": 1}]
)
def test_quotas_of_another_shape_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        Quota.from_json(value)


def test_moments_in_words_are_the_provinces_with_their_offset() -> None:
    for at in (1_795_541_400.25, "2026-11-24T17:30:00.250Z", "2026-11-24T18:30:00.250+01:00"):
        assert civil(at) == "2026-11-25T00:30+07:00" and civil(at, seconds=True) == "2026-11-25T00:30:00+07:00"
    assert civil("–") == "–"
    assert civil("9999-12-31T23:59:59Z") == civil(1e18) == "9999-12-31T23:59+07:00"  # it is a year later in Vietnam
    assert civil("0001-01-01T00:00:00+14:00") == civil(-1e18) == "0001-01-01T07:00+07:00"
    told = Moment("2026-11-24T17:30:00.250Z")
    assert f"{told}" == "2026-11-25T00:30+07:00" and json.dumps(told) == '"2026-11-24T17:30:00.250Z"'
