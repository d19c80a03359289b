"""Deadlines with pauses, against a count of each minute by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.words import Words
from contracts.workflow.model import State, Term, Workflow
from contracts.workflow.working_time import Calendar
from gateway.workflow.terms import Moment, terms_of

WORDS = Words("x", "x")
HOLIDAY = date(2026, 2, 17)
MORNING, AFTERNOON = (450, 690), (810, 990)  # minutes of the day
OFFICE = Calendar(
    title=WORDS, hours=dict.fromkeys(range(5), (MORNING, AFTERNOON)), holidays={HOLIDAY: WORDS}
)  # fmt: skip
STATES = {
    "sent": State(name="sent", title=WORDS, shown="open", term=Term(210, "office")),
    "working": State(name="working", title=WORDS, shown="open", term=Term(700, "office")),
    "waiting": State(name="waiting", title=WORDS, shown="open", pauses=True),
    "done": State(name="done", title=WORDS, shown="closed", ends=True),
}
WORKFLOW = Workflow(
    operation="o", kind="k", area=None, start="sent", term=Term(2100, "office"), states=STATES, steps={},
    hours={"office": OFFICE},
)  # fmt: skip
BEGIN = datetime(2026, 2, 12, tzinfo=UTC).timestamp()


def works(minute: int) -> bool:
    """By the clock of Viet Nam, without a look at how calendars are stored."""
    there = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute, hours=7)
    at = there.hour * 60 + there.minute
    return there.weekday() < 5 and there.date() != HOLIDAY and (450 <= at < 690 or 810 <= at < 990)


def rests(minute: int, moments: list[Moment]) -> bool:
    before = [each for each in moments if each.at // 60 <= minute]
    return bool(before) and before[-1].state in ("waiting", "done")


def counted_by_hand(start: float, minutes: int, moments: list[Moment]) -> int | None:
    minute, left = int(start // 60), minutes
    for _ in range(60 * 24 * 60):
        if works(minute) and not rests(minute, moments):
            left -= 1
            if not left:
                return (minute + 1) * 60
        minute += 1
    return None


@st.composite
def ways(draw: st.DrawFn) -> list[Moment]:
    at, moments = BEGIN + draw(st.integers(0, 4 * 86_400)), []
    for name in ("sent", *draw(st.lists(st.sampled_from(sorted(STATES)), max_size=6))):
        moments.append(Moment(at, name))
        at += draw(st.integers(0, 3 * 86_400))
    return moments


@pytest.mark.full
@settings(max_examples=120, deadline=None)
@given(ways())
def test_deadlines_are_those_of_a_count_minute_by_minute(moments: list[Moment]) -> None:
    terms, last = terms_of(WORKFLOW, moments), moments[-1]
    term = STATES[last.state].term
    if last.state == "done":
        assert (terms.due, terms.whole_due) == (None, None)
        return
    assert terms.due == (None if term is None else counted_by_hand(last.at, term.minutes, moments))
    assert terms.whole_due == counted_by_hand(moments[0].at, 2100, moments)
    for each in (terms.state, terms.whole):
        if each is not None and each.due is not None:
            assert each.counted == each.minutes and each.stretches[-1].end == each.due
            for one, next in zip(each.stretches, each.stretches[1:], strict=False):
                assert one.end == next.start


def test_a_correction_begins_no_term_anew() -> None:
    one = terms_of(WORKFLOW, [Moment(BEGIN, "sent")])
    two = terms_of(WORKFLOW, [Moment(BEGIN, "sent"), Moment(BEGIN + 3600, "sent", entered=False)])
    three = terms_of(WORKFLOW, [Moment(BEGIN, "sent"), Moment(BEGIN + 2 * 86_400, "sent")])
    assert one.due == two.due and three.due != one.due
