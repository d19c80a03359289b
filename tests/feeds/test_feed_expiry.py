"""Content that holds until a time ends once, in the feed and in the state alike."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, update

from contracts.base.times import moment
from gateway.audit.verify.complete import check_complete
from gateway.feeds import read_raw
from gateway.feeds.expiry import Expiring
from gateway.feeds.standing import at_time
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.transfer.key_seals import EXPIRY_NOTE
from tests.exchange.house import sample
from tests.feeds.test_feed_standing import ALERTS, Place, in_order
from tests.registry.making import NOW, contracts

UNTIL = NOW + 600
EVENT, EXPIRING = tables.feed_event, tables.feed_expiry


def text_of(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")


def alert(place: Place, identifier: str, until: float | None, **fields: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        **sample(contracts()[ALERTS], "Alert"),
        "identifier": identifier,
        "sender": "s@x",
        **fields,
    }
    ends = {} if until is None else {"expires": text_of(until)}
    infos = [{name: value for name, value in each.items() if name != "expires"} for each in message["info"]]
    message["info"] = [each | ends for each in infos]
    place.submit(ALERTS, "submitAlert", message, "canh-bao")
    return message


def naming(message: dict[str, Any]) -> str:
    return ",".join(message[name] for name in ("sender", "identifier", "sent"))


def end(place: Place, now: float, check: Callable[[Connection], None] = lambda connection: None) -> None:
    engine, gateway = place.gateway.engine, place.gateway
    place.sequence()
    expiring = Expiring(engine, lock_of(engine), gateway.vault, str, lambda: now)
    for _ in range(20):
        if not expiring.step(contracts().values(), check):
            break
    place.sequence()


def told(place: Place) -> list[tuple[str, str]]:
    """What each event tells of which alert."""
    events = [json.loads(json.dumps(each, default=float)) for each in place.feed(ALERTS, None)]
    with place.gateway.engine.connect() as connection:
        raw = read_raw(connection, ALERTS, None, 1000, vault=place.gateway.vault)
    assert [json.loads(each) for each in raw.events] == events
    return [(each["type"].split(":")[-1], each["subject"]) for each in events]


def stands(place: Place) -> list[str]:
    return [each["subject"] for each in in_order(list(place.page(ALERTS, None, 100).events))]


def verified(place: Place) -> tuple[str, ...]:
    with place.gateway.engine.connect() as connection:
        return check_complete(connection, hash_id=str).wrong


def test_content_ends_once_when_its_time_has_come(place: Place) -> None:
    alert(place, "A-1", UNTIL)
    alert(place, "A-2", None)
    end(place, UNTIL - 1)
    assert told(place) == [("submitAlert", "A-1"), ("submitAlert", "A-2")]
    assert stands(place) == ["A-1", "A-2"] and verified(place) == ()
    for _ in range(2):
        end(place, UNTIL)
        assert told(place)[2:] == [("expired", "A-1")]
    first, _, ended = place.feed(ALERTS, None)
    assert ended["lgspreplaces"] == first["id"] != ended["id"]
    assert ended["time"] == first["lgspexpires"] == ended["lgspexpires"] and moment(ended["time"]) == UNTIL
    assert (ended["data"], ended["lgspagency"]) == (first["data"], first["lgspagency"])
    assert stands(place) == ["A-2"] and verified(place) == ()
    with place.gateway.engine.connect() as connection:
        entry = select(tables.log_entry.c.entry).where(tables.log_entry.c.phase == EXPIRY_NOTE)
        (entry,) = connection.scalars(entry)
        facts = json.loads(bytes(entry))
        assert facts["transfer"] == ended["id"] and facts["facts"]["message"] == first["id"]
        before = at_time(connection, contracts()[ALERTS].contract, NOW + 1)
    assert place.page(ALERTS, before, 10).events == ()


def test_what_was_corrected_or_recalled_ends_without_an_event(place: Place) -> None:
    one, two = alert(place, "A-1", UNTIL), alert(place, "A-2", UNTIL)
    alert(place, "A-3", UNTIL + 60, msgType="Update", references=naming(one))
    alert(place, "A-4", UNTIL, msgType="Cancel", references=naming(two))
    end(place, UNTIL + 1)
    assert [each for each, _ in told(place)] == ["submitAlert", "submitAlert", "corrected", "recalled"]
    assert stands(place) == ["A-3"]
    end(place, UNTIL + 61)
    assert told(place)[4:] == [("expired", "A-3")] and stands(place) == []
    alert(place, "A-5", None, msgType="Update", references=f"{naming(one | {'identifier': 'A-3'})}")
    end(place, UNTIL + 62)
    assert stands(place) == ["A-5"], "ended content can be corrected"
    assert verified(place) == ()


def test_content_that_had_ended_before_it_came_stands_nowhere(place: Place) -> None:
    alert(place, "A-1", NOW - 60)
    end(place, UNTIL)
    assert told(place) == [("submitAlert", "A-1")] and stands(place) == [] and verified(place) == ()


@pytest.mark.parametrize("seed", range(2))
def test_any_death_of_the_keeper_leaves_each_end_once(place: Place, seed: int) -> None:
    chance = random.Random(seed)

    class Died(Exception):
        pass

    def die(connection: Connection) -> None:
        if chance.random() < 0.6:
            raise Died

    for number in range(8):
        alert(place, f"A-{number}", UNTIL + chance.randint(-5, 5))
    for step in range(40):
        try:
            end(place, UNTIL - 6 + step * 0.4, die if step < 38 else lambda connection: None)
        except Died:
            continue
    ended = [subject for what, subject in told(place) if what == "expired"]
    assert sorted(ended) == [f"A-{number}" for number in range(8)]
    offsets = [int(each["sequence"]) for each in place.feed(ALERTS, None)]
    assert offsets == list(range(1, 17)) and stands(place) == [] and verified(place) == ()


def test_a_false_end_is_seen(place: Place) -> None:
    alert(place, "A-1", UNTIL)
    alert(place, "A-2", UNTIL)
    end(place, UNTIL)
    first = select(func.max(EVENT.c.offset))
    with writing(place.gateway.engine) as connection:
        last = connection.scalar(first)
        row = connection.execute(select(EVENT).where(EVENT.c.offset == last)).one()
        text = row.event.replace(text_of(UNTIL)[:16], text_of(UNTIL - 86_400)[:16])
        assert text != row.event
        connection.execute(update(EVENT).where(EVENT.c.offset == last).values(event=text))
    (*_, false) = place.feed(ALERTS, None)
    assert false["tombstonereason"] == "tampered" and "data" not in false
    (finding,) = verified(place)
    assert "not the end of the content" in finding


def test_a_forgotten_end_is_seen(place: Place) -> None:
    alert(place, "A-1", UNTIL)
    end(place, UNTIL - 1)
    with writing(place.gateway.engine) as connection:
        connection.execute(delete(EXPIRING))
    (finding,) = verified(place)
    assert "nothing will end it" in finding


def test_events_of_before_the_upgrade_do_not_end(place: Place) -> None:
    """The migration passes over what is there (`0028`): its statement, as it stands in the file."""
    alert(place, "A-1", UNTIL)
    place.sequence()
    with writing(place.gateway.engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO instance (key, value)"
            " SELECT 'feed.expiry ' || contract, CAST(MAX(\"offset\") AS TEXT) FROM feed_event GROUP BY contract"
        )
    alert(place, "A-2", UNTIL)
    end(place, UNTIL)
    assert told(place)[2:] == [("expired", "A-2")]
