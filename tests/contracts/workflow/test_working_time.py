"""Working time, against an independent count that looks at each minute by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.words import Words
from contracts.workflow.working_time import (
    DAY,
    Calendar,
    Pause,
    Why,
    between,
    counted,
    deadline,
    minute_of,
)

OFFICE = Calendar(
    title=Words("Giờ hành chính", "Office hours"),
    hours=dict.fromkeys(range(5), ((450, 690), (810, 1020))),
    holidays={date(2026, 2, 17): Words("Tết Nguyên Đán", "Lunar New Year")},
    working_days={date(2026, 8, 22): Words("làm bù", "worked in exchange")},
)
ALWAYS = Calendar(title=Words("Liên tục", "Always"), hours=dict.fromkeys(range(7), ((0, DAY),)))


def at(text: str) -> int:
    """A local time of Viet Nam as a minute."""
    return minute_of(datetime.fromisoformat(f"{text}+07:00").timestamp())


def said(minute: int | None) -> str:
    assert minute is not None
    return (datetime.fromtimestamp(minute * 60, UTC) + timedelta(hours=7)).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("start", "minutes", "due"),
    [
        ("2026-11-27T08:00", 60, "2026-11-27T09:00"),
        ("2026-11-27T11:00", 60, "2026-11-27T14:00"),  # over lunch
        ("2026-11-27T11:00", 30, "2026-11-27T11:30"),  # ends with the period, not after lunch
        ("2026-11-27T16:30", 60, "2026-11-30T08:00"),  # over a weekend
        ("2026-11-28T02:00", 1, "2026-11-30T07:31"),  # on a Saturday night
        ("2026-02-16T16:00", 120, "2026-02-18T08:30"),  # over Tết
        ("2026-08-21T16:30", 60, "2026-08-22T08:00"),  # a Saturday that is worked
        ("2026-11-27T23:59", 0, "2026-11-27T23:59"),
    ],
)
def test_a_deadline_counts_office_hours(start: str, minutes: int, due: str) -> None:
    assert said(deadline(OFFICE, at(start), minutes).due) == due


def test_each_skipped_stretch_says_why() -> None:
    shown = deadline(OFFICE, at("2026-02-16T10:30"), 420).stretches
    assert [(each.why, each.minutes) for each in shown] == [
        (Why.WORKING, 60), (Why.BREAK, 120), (Why.WORKING, 210), (Why.AFTER, 420), (Why.HOLIDAY, 1440),
        (Why.BEFORE, 450), (Why.WORKING, 150),
    ]  # fmt: skip
    assert shown[4].name == Words("Tết Nguyên Đán", "Lunar New Year")


def test_a_pause_stops_the_count_and_one_without_end_leaves_it_open() -> None:
    pause = Pause(at("2026-11-27T09:00"), at("2026-11-27T10:00"))
    paused = deadline(OFFICE, at("2026-11-27T08:30"), 60, [pause])
    assert said(paused.due) == "2026-11-27T10:30"
    assert [each.why for each in paused.stretches] == [Why.WORKING, Why.PAUSED, Why.WORKING]
    open_ended = deadline(OFFICE, at("2026-11-27T08:30"), 60, [Pause(at("2026-11-27T09:00"))])
    assert open_ended.due is None
    assert open_ended.counted == 30
    # A pause that begins after the last minute changes nothing.
    assert said(deadline(OFFICE, at("2026-11-27T08:00"), 60, [Pause(at("2026-11-27T09:00"))]).due) == "2026-11-27T09:00"


def test_more_time_than_the_calendar_has_is_refused_and_not_searched_for() -> None:
    rare = Calendar(title=Words("x", "x"), hours={0: ((0, 1),)})
    with pytest.raises(ValueError, match="less than 1000000000 working minutes"):
        deadline(rare, at("2026-11-27T08:00"), 10**9)


# --- against an independent count ---------------------------------------------------------------------------------


@st.composite
def periods(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    edges = sorted(draw(st.sets(st.integers(0, DAY), max_size=6)))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    hours = draw(st.dictionaries(st.integers(0, 6), periods(), min_size=1))
    hours[draw(st.integers(0, 6))] = ((480, 490), (600, 1000))
    days = st.dates(date(2026, 2, 10), date(2026, 2, 24))
    return Calendar(
        title=Words("x", "x"),
        hours=hours,
        holidays=dict.fromkeys(draw(st.sets(days, max_size=5)), Words("nghỉ", "off")),
        working_days=dict.fromkeys(draw(st.sets(days, max_size=3)), Words("bù", "worked")),
        offset=draw(st.sampled_from([0, 420, -210, 345])),
    )


STARTS = st.integers(at("2026-02-12T00:00"), at("2026-02-16T23:59"))


@st.composite
def drawn_pauses(draw: st.DrawFn) -> list[Pause]:
    pairs = draw(st.lists(st.tuples(STARTS, st.integers(-5, 3000)), max_size=4))
    return [Pause(start, start + length) for start, length in pairs]


def counts(calendar: Calendar, minute: int, pauses: list[Pause]) -> bool:
    """Whether one minute counts. Uses nothing of the module but the data of the calendar."""
    if any(pause.start <= minute < (pause.end or 0) for pause in pauses):
        return False
    local = datetime.fromtimestamp(minute * 60, UTC) + timedelta(minutes=calendar.offset)
    day = local.date()
    weekday = day.weekday()
    if day in calendar.working_days:
        weekday = 0
    elif day in calendar.holidays:
        return False
    of_day = local.hour * 60 + local.minute
    return any(opens <= of_day < closes for opens, closes in calendar.hours.get(weekday, ()))


@given(calendars(), STARTS, st.integers(1, 1500), drawn_pauses())
def test_a_deadline_is_due_when_a_count_minute_by_minute_says_so(
    calendar: Calendar, start: int, minutes: int, pauses: list[Pause]
) -> None:
    shown = deadline(calendar, start, minutes, pauses)
    at, left = start, minutes
    while left:
        left -= counts(calendar, at, pauses)
        at += 1
    assert shown.due == at
    assert shown.counted == minutes
    assert [each.start for each in shown.stretches] == [start, *(each.end for each in shown.stretches[:-1])]
    assert all(each.minutes > 0 for each in shown.stretches)
    assert all(counts(calendar, each.start, pauses) == each.counted for each in shown.stretches)


@given(calendars(), STARTS, st.integers(0, 5000), drawn_pauses())
def test_what_lies_between_two_times_is_what_a_count_says(
    calendar: Calendar, start: int, length: int, pauses: list[Pause]
) -> None:
    shown = between(calendar, start, start + length, pauses)
    assert counted(shown) == sum(counts(calendar, each, pauses) for each in range(start, start + length))
    assert sum(each.minutes for each in shown) == length


@given(STARTS, st.integers(1, 10_000))
def test_around_the_clock_a_deadline_is_plain_arithmetic(start: int, minutes: int) -> None:
    assert deadline(ALWAYS, start, minutes).due == start + minutes


def test_each_reason_has_words_and_names_the_holiday() -> None:
    for start, minutes in (("2026-02-16T10:30", 420), ("2026-08-22T07:00", 60), ("2026-11-28T08:00", 60)):
        for each in deadline(OFFICE, at(start), minutes).stretches:
            assert each.told.vi and each.told.en and "{" not in each.told.en
            assert each.name is None or each.name.en in each.told.en and each.name.vi in each.told.vi
