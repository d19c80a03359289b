"""State and the feed after it end at what the whole feed ends at, whatever is handed in while the state is read."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event as listening
from sqlalchemy import update

from contracts.base.errors import Theirs
from gateway.audit.log.sequencer import Sequencer
from gateway.feeds import cursor, read
from gateway.feeds.standing import Standing, standing
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer import lease as leases
from gateway.transfer.stages import Answered
from tests.exchange.house import Call, Gateway, sample
from tests.registry.making import contracts

ALERTS, VALUES = "incident-alert/v1", "indicator/v1"
Held = dict[tuple[str, ...], Any]


@dataclass
class Place:
    gateway: Gateway
    sequencer: Sequencer
    lease: leases.Lease
    sent: int = 0

    def submit(self, contract: str, operation: str, message: dict[str, Any], system: str | None) -> None:
        self.sent += 1
        call = Call(contract, operation, f"m-{self.sent}", message, system)
        outcome = asyncio.run(self.gateway.carry(call))
        assert isinstance(outcome, Answered), outcome

    def values(self, numbers: Mapping[str, int]) -> None:
        one = sample(contracts()[VALUES], "IndicatorValue")
        values = [{**one, "area": area, "value": number} for area, number in numbers.items()]
        self.submit(VALUES, "submitValues", {"values": values}, None)

    def alert(self, identifier: str, **fields: str) -> dict[str, Any]:
        message = {**sample(contracts()[ALERTS], "Alert"), "identifier": identifier, "sender": "s@x", **fields}
        self.submit(ALERTS, "submitAlert", message, "canh-bao")
        return message

    def sequence(self) -> None:
        for _ in range(3):  # the first run of a new log only signs the empty tree
            self.sequencer.run_once(self.lease)

    def page(self, contract: str, after: str | None, limit: int) -> Standing:
        with self.gateway.engine.connect() as connection:
            return standing(connection, contracts()[contract].contract, after, limit, self.gateway.vault, str)

    def feed(self, contract: str, after: str | None) -> Sequence[dict[str, Any]]:
        self.sequence()
        with self.gateway.engine.connect() as connection:
            return read(connection, contract, after, 1000, vault=self.gateway.vault).events


def held(before: Held, events: Sequence[Mapping[str, Any]]) -> Held:
    return before | {
        (each["indicator"], each["area"], each["period"]): each["value"]
        for event in events
        for each in event["data"]["values"]
    }


def in_order(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pages of a state are by transfer, and ids of one millisecond have no order."""
    return sorted(events, key=lambda event: str(event["sequence"]))


@pytest.mark.parametrize("seed", range(4))
def test_state_and_feed_together_are_the_whole_feed(place: Place, seed: int) -> None:
    chance = random.Random(seed)

    def some() -> None:
        areas = chance.sample(["04", "01273", "01", "08", "11"], chance.randint(1, 4))
        place.values({area: chance.randint(1, 10**6) for area in areas})

    for _ in range(chance.randint(0, 12)):
        some()
    place.sequence()
    mine: Held = {}
    page, seen = place.page(VALUES, None, chance.randint(1, 3)), list[str]()
    first = page.place
    while True:
        for event in page.events:
            assert event["subject"].count(" ") == len(event["data"]["values"]) - 1
            seen.append(event["id"])
        mine = held(mine, page.events)
        for _ in range(chance.randint(0, 2)):
            some()
        if chance.random() < 0.5:
            place.sequence()
        if not page.more:
            break
        page = place.page(VALUES, page.next, chance.randint(1, 3))
        assert page.place == first
    assert len(seen) == len(set(seen))
    assert held(mine, place.feed(VALUES, first)) == held({}, place.feed(VALUES, None))


def test_a_superseded_item_is_not_given(place: Place) -> None:
    place.values({"04": 1, "01273": 2})
    place.values({"04": 3})
    place.sequence()
    page = place.page(VALUES, None, 100)
    assert [[(each["area"], each["value"]) for each in event["data"]["values"]] for event in in_order(page.events)] == [
        [("01273", 2)],
        [("04", 3)],
    ]
    assert page.span is not None and (page.span.first, page.span.last, page.span.events) == (1, 2, 2)


def test_what_was_corrected_or_recalled_does_not_stand(place: Place) -> None:
    def naming(message: Mapping[str, Any]) -> str:
        return ",".join(message[name] for name in ("sender", "identifier", "sent"))

    first, second = place.alert("A-1"), place.alert("A-2")
    third = place.alert("A-3", msgType="Update", references=naming(first))
    place.alert("A-4", msgType="Cancel", references=naming(second))
    place.alert("A-5", msgType="Ack", references=naming(third))
    place.sequence()
    page = place.page(ALERTS, None, 100)
    assert [event["data"]["identifier"] for event in page.events] == ["A-3"] and not page.more
    assert place.feed(ALERTS, page.place) == ()


def test_a_changed_key_is_a_tombstone(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.values({"04": 1, "01273": 2})
    place.values({"01": 7})
    place.sequence()
    first, table = place.feed(VALUES, None)[0]["id"], tables.feed_key
    with writing(place.gateway.engine) as connection:
        key = connection.execute(table.select().where(table.c.transfer == first).limit(1)).one().key
        connection.execute(update(table).where(table.c.key == key).values(content="f" * 64))
    page = place.page(VALUES, None, 100)
    one, two = in_order(page.events)
    assert (one["id"], one["tombstone"], one["tombstonereason"]) == (first, True, "tampered")
    assert "data" not in one and "subject" not in one and two["data"]["values"][0]["area"] == "01"
    assert "was changed in the database" in caplog.text
    assert page.span is not None and page.span.tampered == (1,)


@pytest.mark.parametrize("text", ["x", "", "é", "A" * 500, cursor.encode(VALUES, 1)])
def test_another_cursor_is_refused(place: Place, text: str) -> None:
    if text:
        with pytest.raises(Theirs, match="cursor"):
            place.page(VALUES, text, 10)
    place.values({"04": 1})
    place.sequence()
    with pytest.raises(Theirs) as wrong:
        place.page(ALERTS, place.page(VALUES, None, 1).next, 10)
    assert wrong.value.code == "feed.bad-cursor"


def test_without_business_keys_there_is_no_state(place: Place) -> None:
    with pytest.raises(Theirs) as wrong:
        place.page("field-report/v1", None, 10)
    assert wrong.value.code == "feed.no-state"


def test_a_page_of_the_state_does_not_look_through_the_feed(place: Place) -> None:
    """By the plans of SQLite: of the feed it searches single transfers, so a page costs the same in a longer feed."""
    if place.gateway.engine.dialect.name != "sqlite":
        pytest.skip("the plan of SQLite is looked at")
    for number in range(3):
        place.alert(f"a-{number}")
    place.sequence()
    ran: list[str] = []

    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        ran.append(statement)

    listening.listen(place.gateway.engine, "before_cursor_execute", keep)
    try:
        assert len(place.page(ALERTS, None, 2).events) == 2
    finally:
        listening.remove(place.gateway.engine, "before_cursor_execute", keep)
    (asked,) = [statement for statement in ran if "feed_event" in statement and "transfer IN (?, ?)" in statement]
    whole = asked.replace("IN (?, ?)", f"IN ({', '.join('?' * 1000)})")  # of a page in full length the plan is another
    with place.gateway.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {whole}", tuple(map(str, range(1000)))).all()
    plans = [str(row[3]) for row in rows]
    searched = [each for each in plans if "feed_event" in each]
    assert searched and all("(transfer=?)" in each for each in searched), plans
