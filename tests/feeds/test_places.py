"""Bisection over times finds what a look at each event finds, within one epoch and over several."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert

from gateway.feeds import cursor
from gateway.feeds.heads import head_of
from gateway.feeds.places import Times, bounds
from gateway.journal import epochs
from gateway.journal.schema import tables

FEED = "incident-alert/v1"
STEPS = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.5, 3.0]), st.booleans()), max_size=12)


def filled(engine: Engine, steps: list[tuple[float, bool]], signed: float) -> list[tuple[int, float]]:
    """Events with offsets and times; a true step begins an epoch."""
    offset, at, events = 0, 100.0, list[tuple[int, float]]()
    for apart, restored in steps:
        offset = (offset // epochs.OFFSETS + 1) * epochs.OFFSETS + 1 if restored else offset + 1
        at += apart
        events.append((offset, at))
    with engine.begin() as connection:
        for table in (tables.feed_event, tables.checkpoint):
            connection.execute(delete(table))
        event = json.dumps({"time": "2026-11-24T07:00:00Z"})
        for offset, at in events:
            values = {"contract": FEED, "offset": offset, "transfer": f"t-{offset}", "event": event, "body_ref": "x"}
            connection.execute(insert(tables.feed_event).values(**values, sequenced=at))
        connection.execute(insert(tables.checkpoint).values(size=0, root=b"", note="", signed=signed))
    return events


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(STEPS, st.sampled_from([0.0, 101.0, 140.0]), st.data())
def test_a_range_holds_the_events_of_its_times(
    database: Engine, steps: list[tuple[float, bool]], signed: float, data: st.DataObject
) -> None:
    events = filled(database, steps, signed)
    places = st.sampled_from([None, 99.0, 100.0, 100.25, 103.0, 106.5, 150.0, *(at for _, at in events)])
    since, until = data.draw(places), data.draw(places)
    after = data.draw(st.sampled_from([None, *(offset for offset, _ in events)]))
    with database.connect() as connection:
        text = None if after is None else cursor.encode(FEED, after)
        found = bounds(connection, FEED, text, Times(since, until))
        stands = head_of(connection, FEED)
    inside = [offset for offset, _ in events if found.low < offset and (found.high is None or offset <= found.high)]
    assert inside == [
        offset
        for offset, at in events
        if (after is None or offset > after) and (since is None or at >= since) and (until is None or at < until)
    ]
    assert found.complete == (until is not None and max([signed, *(at for _, at in events)]) >= until)
    assert stands.offset == (events[-1][0] if events else 0) and stands.pending == 0
