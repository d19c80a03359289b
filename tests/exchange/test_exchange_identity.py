"""One business key means one thing: repeats, corrections and recalls are told apart; only their owner makes them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from gateway.feeds import keys
from gateway.journal.logged import entry_of
from gateway.journal.schema import tables
from gateway.transfer.stages import Answered, Refused
from tests.exchange.house import Call, Gateway, house, sample
from tests.registry.making import contracts

ALERTS, VALUES = "incident-alert/v1", "indicator/v1"
UNKNOWN = "a message that is not known here"
OTHER = "bao-chay"  # a system of another agency that may hand in alerts


@pytest.fixture
def gateway(database: Engine, tmp_path: Path) -> Iterator[Gateway]:
    with house(database, tmp_path) as made:
        yield made


def alert(**fields: Any) -> dict[str, Any]:
    return {**sample(contracts()[ALERTS], "Alert"), "identifier": "A-1", "sender": "s@x", **fields}


def reference(message: dict[str, Any], **other: str) -> str:
    return ",".join({**message, **other}[name] for name in ("sender", "identifier", "sent"))


class Sender:
    def __init__(self, gateway: Gateway, contract: str = ALERTS, operation: str = "submitAlert") -> None:
        self.gateway, self.contract, self.operation, self.count = gateway, contract, operation, 0

    def __call__(self, message: dict[str, Any], system: str | None = "canh-bao") -> Answered | Refused:
        self.count += 1
        call = Call(self.contract, self.operation, f"m-{self.count}", message, system)
        return asyncio.run(self.gateway.carry(call))

    def refused(self, message: dict[str, Any], system: str | None = "canh-bao") -> tuple[str, str]:
        """(code, what the first finding says was found)."""
        outcome = self(message, system)
        assert isinstance(outcome, Refused), "it was taken"
        assert outcome.failure.findings, outcome.failure
        assert all(str(value) not in repr(outcome.failure.findings) for value in ("A-1", "s@x"))
        return outcome.failure.code, outcome.failure.findings[0].got


def events(gateway: Gateway, contract: str = ALERTS) -> list[tuple[str, str]]:
    """(the end of the type, subject) of each event."""
    table = tables.feed_pending.c
    with gateway.engine.connect() as connection:
        texts = connection.scalars(select(table.event).where(table.contract == contract).order_by(table.id))
        found = [json.loads(each) for each in texts]
    prefix = f"urn:lgsp:contract:{contract.replace('/', ':')}:"
    assert all(each["type"].startswith(prefix) for each in found)
    return [(each["type"].removeprefix(prefix), each["subject"]) for each in found]


def test_an_identifier_again_is_a_repeat_or_refused(gateway: Gateway) -> None:
    send = Sender(gateway)
    first = send(alert())
    assert isinstance(first, Answered) and first.answer is not None
    again = send(alert())
    assert isinstance(again, Answered) and again.answer == first.answer and again.receipt == first.receipt
    assert send.refused(alert(note="other")) == ("message.key-taken", "a key of earlier content")
    assert send.refused(alert(), OTHER) == ("message.key-taken", "a key of another agency")
    assert events(gateway) == [("submitAlert", "A-1")]
    assert len(gateway.entries(again.requested.received.transfer)) == 1, "the repeat is logged"
    assert isinstance(send(alert(sender="t@x", note="another sender's")), Answered)


@pytest.mark.parametrize("kind", ["Update", "Cancel", "Ack", "Error"])
def test_what_refers_must_name_a_known_message_of_its_own_agency(gateway: Gateway, kind: str) -> None:
    send, first = Sender(gateway), alert()
    later = alert(identifier="A-2", msgType=kind)
    assert send.refused(later) == ("message.reference", "no reference, or another form")
    later["references"] = reference(first)
    assert send.refused(later) == ("message.reference", "reference 1: a message that is not known here")
    assert isinstance(send(first), Answered)
    wrong = {**later, "references": reference(first, sent="2026-01-01T00:00:00+07:00")}
    assert send.refused(wrong)[1] == "reference 1: the earlier message named in another way"
    assert send.refused(later, OTHER)[1] == "reference 1: a message of another agency"
    assert send.refused({**later, "references": reference(later)})[1] == "reference 1: a message that is not known here"
    assert isinstance(send(later), Answered)
    end = {"Update": "corrected", "Cancel": "recalled"}.get(kind, "responded")
    assert events(gateway) == [("submitAlert", "A-1"), (f"submitAlert:{end}", "A-2")]


def test_a_recalled_message_is_corrected_no_more(gateway: Gateway) -> None:
    send, first = Sender(gateway), alert()
    send(first)
    assert isinstance(send(alert(identifier="A-2", msgType="Cancel", references=reference(first))), Answered)
    update = alert(identifier="A-3", msgType="Update", references=reference(first))
    assert send.refused(update) == ("message.reference", "reference 1: a message that was recalled")


def test_a_reference_is_the_same_in_each_zone(gateway: Gateway) -> None:
    send, first = Sender(gateway), alert(sent="2026-08-14T03:20:00+07:00")
    send(first)
    later = alert(identifier="A-2", msgType="Update", references=reference(first, sent="2026-08-13T20:20:00+00:00"))
    assert isinstance(send(later), Answered)


def value(area: str, number: int) -> dict[str, Any]:
    return {**sample(contracts()[VALUES], "IndicatorValue"), "area": area, "value": number}


def test_a_value_again_is_a_correction_and_has_its_subject(gateway: Gateway) -> None:
    send = Sender(gateway, VALUES, "submitValues")
    one, two, three = value("04", 1), value("01273", 2), value("01273", 3)
    name = f"{one['indicator']},%s,{one['period']}"
    both = f"{name % '04'} {name % '01273'}"
    for message in ([one, two], [one, two], [two], [one, three], [two, one]):
        assert isinstance(send({"values": message}, None), Answered)
    assert events(gateway, VALUES) == [
        ("submitValues", both),
        ("submitValues:corrected", both),
        ("submitValues:corrected", f"{name % '01273'} {name % '04'}"),
    ]
    assert send.refused({"values": [two, three]}, None) == ("message.key-taken", "other content under one key")


def test_an_event_names_the_events_that_it_replaces(gateway: Gateway) -> None:
    send, first = Sender(gateway), alert()
    send(first)
    send(alert(identifier="A-2", msgType="Ack", references=reference(first)))
    send(alert(identifier="A-3", msgType="Update", references=reference(first)))
    send(alert(identifier="A-4", msgType="Cancel", references=reference(first, identifier="A-3")))
    stored = Sender(gateway, VALUES, "submitValues")
    for values in ([value("04", 1), value("01273", 2)], [value("04", 3)], [value("04", 4), value("01273", 5)]):
        stored({"values": values}, None)
    table = tables.feed_pending.c
    with gateway.engine.connect() as connection:
        found = [json.loads(each) for each in connection.scalars(select(table.event).order_by(table.id))]
    place = {each["id"]: number for number, each in enumerate(found)}
    assert [sorted(place[id] for id in each.get("lgspreplaces", "").split()) for each in found] == [
        [], [], [0], [2], [], [4], [4, 5],
    ]  # fmt: skip


def test_what_is_refused_is_named_where_the_sender_has_it(gateway: Gateway) -> None:
    """In the answer, and in what the log keeps of it."""
    send = Sender(gateway)
    assert isinstance(send(alert()), Answered)
    cancel = alert(identifier="A-2", msgType="Cancel")
    for message, here, got in (
        (alert(note="other"), "sender, identifier", "a key of earlier content"),
        (cancel, "references", "no reference, or another form"),
        ({**cancel, "references": reference(alert(), identifier="X")}, "references", f"reference 1: {UNKNOWN}"),
    ):
        outcome = send(message)
        assert isinstance(outcome, Refused)
        (finding,) = outcome.failure.findings
        assert (finding.here, finding.got) == (here, got)
        with gateway.engine.connect() as connection:
            logged = entry_of(connection, outcome.received.transfer, "refusal")
        assert logged is not None
        (kept,) = logged.value["findings"]
        assert (kept["here"], kept["canonical"], kept["got"]) == (here, here, got)
    values = {"values": [value("04", 1), value("01273", 2), value("04", 3)]}
    outcome = Sender(gateway, VALUES, "submitValues")(values, None)
    assert isinstance(outcome, Refused)
    assert outcome.failure.findings[0].here == "values[2].indicator, values[2].area, values[2].period"


def test_a_format_names_the_places_of_business_keys() -> None:
    alerts = contracts()[ALERTS]
    for format, root, places in (
        ("bao-chay-json", None, ("donViGui", "maCanhBao", "tinLienQuan", "chiTiet[1].khuVuc[0].diaDiem")),
        ("cap12", "alert", ("sender", "identifier", "references", "info[2]/cap:area[1]/cap:areaDesc")),
        ("canonical", "submitAlert", ("sender", "identifier", "references", "info[2]/area[1]/areaDesc")),
    ):
        said = [
            alerts.codec(format).here("Alert", [path], root)
            for path in ("sender", "identifier", "references", "info[1].area[0].areaDesc")
        ]
        before = {"cap12": "cap:alert/cap:", "canonical": "submitAlert/"}.get(format, "")
        assert said == [before + each for each in places]
    assert alerts.codec("bao-chay-json").here("Alert", ["nowhere", "sender"]) == "donViGui"


def test_two_doors_at_once_cannot_both_win(gateway: Gateway) -> None:
    """Forty messages with other content under one key: one is taken. With a correction by key, each is."""

    async def all_at_once(contract: str, operation: str, messages: list[dict[str, Any]]) -> list[Answered | Refused]:
        calls = [
            gateway.carry(Call(contract, operation, f"{contract} {number}", each, None))
            for number, each in enumerate(messages)
        ]
        return await asyncio.gather(*calls)

    outcomes = asyncio.run(all_at_once(ALERTS, "submitAlert", [alert(note=str(number)) for number in range(40)]))
    assert Counter(type(each) for each in outcomes) == {Answered: 1, Refused: 39}
    assert {each.failure.code for each in outcomes if isinstance(each, Refused)} == {"message.key-taken"}
    values = [{"values": [value("04", number)]} for number in range(6)]
    outcomes = asyncio.run(all_at_once(VALUES, "submitValues", values))
    assert Counter(type(each) for each in outcomes) == {Answered: 6}
    assert Counter(kind for kind, _ in events(gateway, VALUES)) == {"submitValues": 1, "submitValues:corrected": 5}
    with gateway.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.feed_key)) == 2


@pytest.mark.attack("a business key's row, changed in the database")
def test_a_changed_row_of_a_key_is_not_believed(gateway: Gateway) -> None:
    send, first = Sender(gateway), alert()
    send(first)
    with gateway.engine.begin() as connection:
        connection.execute(tables.feed_key.update().values(state=keys.RECALLED))
    outcome = send(alert(identifier="A-2", msgType="Update", references=reference(first)))
    assert isinstance(outcome, Refused) and outcome.failure.code == "transfer.tampered"
