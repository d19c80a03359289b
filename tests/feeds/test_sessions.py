"""Sessions: whatever leaves is named by an entry before, and a session that ended says what it read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.feeds.sessions import AHEAD, IDLE, MOST_RANGES, RENEWED, Reader, Sessions, Span

CENTRE = Reader("H14.0/dieu-hanh", "incident-alert/v1", ("G-0004", "G-0009"))
OTHER = Reader("H14.0/bao-cao", "incident-alert/v1", ("G-0004",))


def span(first: int, last: int, *owners: str) -> Span:
    return Span(first, last, last - first + 1, frozenset(owners or ("H14.2",)))


def test_a_session_from_its_first_page_to_its_end() -> None:
    sessions = Sessions()
    opened = sessions.due(CENTRE, span(1, 10), 100.0)
    assert dict(opened.facts) == {
        "contract": "incident-alert/v1", "grant": "G-0004", "also": ["G-0009"], "session": opened.facts["session"],
        "state": "opened", "owners": ["H14.2"], "from": 1, "to": AHEAD,
    }  # fmt: skip
    sessions.committed(CENTRE, opened, 100.0)
    assert sessions.covered(CENTRE, span(11, 20), 101.0)
    assert list(sessions.closing(101.0 + IDLE - 1)) == []
    ((reader, closed),) = sessions.closing(101.0 + IDLE)
    assert reader == CENTRE
    assert (closed["state"], closed["read"], closed["events"], closed["readings"]) == ("closed", [[1, 20]], 20, 2)
    assert closed["session"] == opened.facts["session"] and "to" not in closed
    assert list(sessions.closing(1e9, all=True)) == []


def test_what_the_last_entry_does_not_cover_needs_another() -> None:
    def then(page: Span, now: float) -> str:
        sessions = Sessions()
        opened = sessions.due(CENTRE, span(1, 10), 100.0)
        sessions.committed(CENTRE, opened, 100.0)
        return "covered" if sessions.covered(CENTRE, page, now) else sessions.due(CENTRE, page, now).facts["state"]

    assert then(span(11, AHEAD), 100.0 + RENEWED - 1) == "covered"
    assert then(span(11, AHEAD + 1), 101.0) == "renewed"  # beyond the range
    assert then(span(11, 20), 100.0 + RENEWED) == "renewed"  # a minute later
    assert then(span(11, 20, "H14.6"), 101.0) == "renewed"  # an owner that was not named
    assert then(span(11, 20)._replace(tampered=(12,)), 101.0) == "renewed"
    assert then(span(11, 20), 99.0) == "renewed"  # the clock went back


def test_readers_have_sessions_of_their_own() -> None:
    sessions = Sessions()
    first = sessions.due(CENTRE, span(1, 10), 100.0)
    sessions.committed(CENTRE, first, 100.0)
    other = sessions.due(OTHER, span(1, 10), 100.0)
    assert other.facts["session"] != first.facts["session"]


def test_an_entry_stays_small_however_a_reader_jumps() -> None:
    sessions = Sessions()
    for number in range(500):
        page = span(number * 7 % 997 + 1, number * 7 % 997 + 1)
        if not sessions.covered(CENTRE, page, 100.0):
            due = sessions.due(CENTRE, page, 100.0)
            assert len(due.facts.get("read", ())) <= MOST_RANGES
            sessions.committed(CENTRE, due, 100.0)
    ((_, closed),) = sessions.closing(100.0, all=True)
    assert len(closed["read"]) <= MOST_RANGES


PAGES = st.tuples(
    st.integers(1, 3000), st.integers(0, 1500), st.sampled_from(["H14.2", "H14.6", "H14.7"]), st.floats(0, 90)
)


@given(st.lists(st.tuples(PAGES, st.booleans()), max_size=40))
def test_no_event_leaves_unnamed_and_no_reading_is_lost(steps: list[tuple[tuple[int, int, str, float], bool]]) -> None:
    """Pages in any order, with idle times between them: a kill at any moment hides nothing."""
    sessions, entries, now = Sessions(), list[Mapping[str, Any]](), 1000.0
    left: list[Span] = []
    for (first, more, owner, passes), ends in steps:
        now += passes
        page = span(first, first + more, owner)
        if not sessions.covered(CENTRE, page, now):
            due = sessions.due(CENTRE, page, now)
            entries.append(due.facts)
            sessions.committed(CENTRE, due, now)
        last = entries[-1]
        assert last["from"] <= page.first and page.last <= last["to"] and owner in last["owners"]
        left.append(page)
        if ends:
            entries += [facts for _, facts in sessions.closing(now, all=True)]
    entries += [facts for _, facts in sessions.closing(now, all=True)]
    told = {offset for each in entries for low, high in each.get("read", ()) for offset in range(low, high + 1)}
    assert told >= {offset for page in left for offset in range(page.first, page.last + 1)}
    assert sum(each.get("events", 0) for each in entries) == sum(page.events for page in left)
    if all(len(each.get("read", ())) < MOST_RANGES for each in entries):
        assert told == {offset for page in left for offset in range(page.first, page.last + 1)}
