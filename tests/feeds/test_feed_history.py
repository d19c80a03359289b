"""The state at a past time is what the feed up to that time gives, and the feed after it goes on from there."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from contracts.base.errors import Theirs
from gateway.feeds.standing import at_time
from gateway.journal.schema import tables
from gateway.transfer.key_seals import HISTORY
from tests.exchange.house import sample
from tests.feeds.test_feed_standing import ALERTS, VALUES, Held, Place, held, in_order
from tests.registry.making import NOW, contracts


def clocked(place: Place) -> list[float]:
    """The clock of the sequencer, which a test turns."""
    now = [NOW + 1.0]
    place.sequencer._clock = lambda: now[0]  # type: ignore[misc]
    return now


def state(place: Place, contract: str, time: float, limit: int) -> tuple[list[dict[str, Any]], str]:
    with place.gateway.engine.connect() as connection:
        after = at_time(connection, contracts()[contract].contract, time)
    events, more, goes_on = list[dict[str, Any]](), True, ""
    while more:
        page = place.page(contract, after, limit)
        events += page.events
        after, more, goes_on = page.next, page.more, page.place
    return events, goes_on


@pytest.mark.parametrize("seed", range(2))
def test_the_state_at_any_time_is_the_fold_of_the_feed(place: Place, seed: int) -> None:
    chance, now = random.Random(seed), clocked(place)
    times = [now[0]]
    for _ in range(chance.randint(4, 9)):
        for _ in range(chance.randint(1, 2)):
            areas = chance.sample(["04", "01273", "01", "08", "11"], chance.randint(1, 4))
            place.values({area: chance.randint(1, 10**6) for area in areas})
        place.sequence()
        now[0] += 10.0
        times.append(now[0] - chance.choice([0.0, 5.0]))
    whole = place.feed(VALUES, None)
    stamped = _sequenced(place)
    for time in times:
        events, goes_on = state(place, VALUES, time, chance.randint(1, 3))
        before = [each for each in whole if stamped[each["id"]] < time]
        assert held({}, events) == held({}, before)
        assert len({each["id"] for each in events}) == len(events)
        rest: Held = held(held({}, events), place.feed(VALUES, goes_on))
        assert rest == held({}, whole)
        items = [(value["area"], each["id"]) for each in events for value in each["data"]["values"]]
        assert len({area for area, _ in items}) == len(items)  # one event for each key


def _sequenced(place: Place) -> Mapping[str, float]:
    event = tables.feed_event.c
    with place.gateway.engine.connect() as connection:
        return {row.transfer: row.sequenced for row in connection.execute(select(event.transfer, event.sequenced))}


def test_corrected_and_recalled_messages_stood_before(place: Place) -> None:
    now = clocked(place)

    def naming(message: Mapping[str, Any]) -> str:
        return ",".join(message[name] for name in ("sender", "identifier", "sent"))

    first, second = place.alert("A-1"), place.alert("A-2")
    place.sequence()
    now[0] += 10
    place.alert("A-3", msgType="Update", references=naming(first))
    place.sequence()
    now[0] += 10
    place.alert("A-4", msgType="Cancel", references=naming(second))
    place.sequence()
    now[0] += 10

    def at(time: float) -> list[str]:
        events, _ = state(place, ALERTS, time, 1)
        return [each["data"]["identifier"] for each in in_order(events)]

    assert [at(NOW + 1), at(NOW + 5), at(NOW + 15), at(NOW + 25)] == [[], ["A-1", "A-2"], ["A-2", "A-3"], ["A-3"]]


def test_what_is_not_known_is_refused_and_what_was_changed_is_a_tombstone(place: Place) -> None:
    now, one = clocked(place), sample(contracts()[VALUES], "IndicatorValue")
    place.values({"04": 1})
    place.sequence()
    now[0] += 10
    place.values({"04": 2})
    place.sequence()
    engine = place.gateway.engine
    with engine.begin() as connection:
        connection.execute(update(tables.feed_key_past).values(content="x"))
    events, _ = state(place, VALUES, NOW + 5, 10)
    assert one and [each.get("tombstonereason") for each in events] == ["tampered"]
    with engine.begin() as connection:
        connection.execute(insert(tables.instance).values(key=f"{HISTORY} {VALUES}", value=repr(NOW + 6)))
    with pytest.raises(Theirs) as refused:
        state(place, VALUES, NOW + 5, 10)
    assert refused.value.code == "feed.no-history" and state(place, VALUES, NOW + 7, 10)
