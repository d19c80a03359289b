"""What the gateway itself tells of the quality of the exchange: an event for each entry of the log that says so."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update

from adapters.errors import PROVIDER_BAD_ANSWER, PROVIDER_DOWN, Acted
from contracts.base.errors import Finding
from contracts.base.ids import new_id
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from gateway.audit.verify.complete import check_complete
from gateway.feeds import quality as quality_module
from gateway.feeds.quality import FOLDER, Quality
from gateway.journal.append import append, apply
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.registry.own_feed import QUALITY, is_closed
from gateway.transfer.quality_events import POSITION
from security.transparency.entry import Caller, Refusal, freeze
from tests.exchange.house import Call
from tests.feeds.test_feed_standing import Place
from tests.registry.making import NOW

EVENT, ENTRY, INSTANCE = tables.feed_event, tables.log_entry, tables.instance
SECRET = "Nguyễn Văn A 012345678901"
BROKEN = {"here": "info[0].severity", "canonical": "info[0].severity", "rule": "enum", "expected": "Minor"}


@lru_cache(maxsize=1)
def contract() -> CompiledContract:
    return compile_bundle(Bundle.from_folder(FOLDER))


def follow(place: Place, check: Callable[[Connection], None] = lambda connection: None) -> None:
    place.sequence()
    engine = place.gateway.engine
    quality = Quality(engine, lock_of(engine), place.gateway.vault, lambda: NOW)
    while quality.step(contract(), check):
        pass
    place.sequence()


def refuse(place: Place, *findings: dict[str, str], failure: str = "message.invalid", count: int = 1) -> str:
    id = new_id(int(NOW * 1000))
    refusal = Refusal(
        transfer=id,
        at=NOW,
        door="rest",
        failure=failure,
        status=422,
        caller=Caller("H14.2", "canh-bao"),
        contract="incident-alert/v1",
        operation="submitAlert",
        findings=findings,
        count=count,
    )
    with writing(place.gateway.engine) as connection:
        append(connection, [LogRow(*freeze(refusal))])
    return id


def answer_badly(place: Place, number: int, what: Any = PROVIDER_BAD_ANSWER) -> None:
    finding = Finding(here="value", canonical="value", got=SECRET, rule="type", expected="a number")
    failure = what(acted=Acted.MAYBE, findings=[finding], system="kinh-te", reason="rest.status-200")
    asyncio.run(place.gateway.carry(Call("indicator/v1", "getValue", f"q-{number}"), failure=failure))


def told(place: Place) -> list[dict[str, Any]]:
    return list(place.feed(QUALITY, None))


def verified(place: Place) -> tuple[str, ...]:
    with place.gateway.engine.connect() as connection:
        return check_complete(connection, hash_id=str).wrong


def test_nothing_is_told_of_what_was_before_and_each_refusal_by_a_rule_after(place: Place) -> None:
    refuse(place, BROKEN)
    follow(place)
    assert told(place) == []
    one, two = refuse(place, BROKEN), refuse(place, BROKEN, count=7)
    refuse(place, failure="access.no-grant")
    follow(place)
    follow(place)
    events = told(place)
    assert [each["subject"] for each in events] == [one, two]
    first = events[0]
    assert first["source"] == "urn:lgsp:gateway" and first["type"].endswith(":quality-event:v1:recordEvent")
    assert (first["lgspagency"], first["lgspbundle"]) == ("H14.2", contract().digest)
    assert first["data"] == {
        "transfer": one,
        "kind": "refused",
        "time": first["time"],
        "contract": "incident-alert/v1",
        "operation": "submitAlert",
        "agency": "H14.2",
        "system": "canh-bao",
        "failure": "message.invalid",
        "findings": [{"rule": "enum", "here": "info[0].severity", "canonical": "info[0].severity"}],
    }
    assert events[1]["data"]["count"] == 7
    assert verified(place) == ()


def test_a_bad_answer_is_told_with_its_provider_and_without_a_value(place: Place) -> None:
    follow(place)
    answer_badly(place, 1)
    answer_badly(place, 2, PROVIDER_DOWN)
    follow(place)
    (event,) = told(place)
    data = event["data"]
    assert (data["kind"], data["failure"], data["contract"]) == ("bad-answer", "provider.bad-answer", "indicator/v1")
    assert (data["system"], data["agency"], data["caller"]) == ("kinh-te", event["lgspagency"], "dieu-hanh")
    assert data["findings"][0]["rule"] == "type"
    assert SECRET not in json.dumps(event, ensure_ascii=False) and "expected" not in json.dumps(event)
    assert verified(place) == ()


@pytest.mark.parametrize("seed", range(3))
def test_any_death_of_the_keeper_leaves_each_event_once(
    place: Place, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies before it writes, or when all is written and not committed."""
    chance = random.Random(seed)

    class Died(Exception):
        pass

    def die(connection: Connection) -> None:
        if chance.random() < 0.3:
            raise Died

    def written(connection: Connection, units: Any) -> Any:
        results = apply(connection, units)
        if alive != [True] and chance.random() < 0.4:
            raise Died
        return results

    alive: list[bool] = []
    monkeypatch.setattr(quality_module, "apply", written)
    refuse(place, BROKEN)
    place.sequence()
    alive.append(True)
    follow(place)
    alive.clear()
    ids = []
    for number in range(12):
        ids += [refuse(place, BROKEN) for _ in range(chance.randint(0, 3))]
        if chance.random() < 0.3:
            answer_badly(place, number)
        try:
            follow(place, die)
        except Died:
            continue
    alive.append(True)
    follow(place)
    with place.gateway.engine.connect() as connection:
        phases = list(connection.scalars(select(ENTRY.c.phase).where(ENTRY.c.phase.in_(("refusal", "try-failed")))))
    phases.remove("refusal")  # that of before
    events = told(place)
    assert [each["subject"] for each in events if each["data"]["kind"] == "refused"] == ids
    assert len(events) == len(phases) and [int(each["sequence"]) for each in events] == [*range(1, len(events) + 1)]
    for each in events:
        assert contract().validate("QualityEvent", each["data"]) == []
    assert verified(place) == ()


def test_another_keeper_that_moved_the_position_wins(place: Place) -> None:
    refuse(place, BROKEN)
    follow(place)
    refuse(place, BROKEN)
    place.sequence()
    engine = place.gateway.engine
    quality = Quality(engine, lock_of(engine), place.gateway.vault, lambda: NOW)

    def other(connection: Connection) -> None:
        connection.execute(update(INSTANCE).where(INSTANCE.c.key == POSITION).values(value="0 0 -"))

    assert quality.step(contract(), other) == 0
    assert quality.step(None, other) == 0


def test_a_false_event_is_seen(place: Place) -> None:
    follow(place)
    refuse(place, BROKEN)
    follow(place)
    with writing(place.gateway.engine) as connection:
        text = connection.scalar(select(EVENT.c.event)) or ""
        connection.execute(update(EVENT).values(event=text.replace("H14.2", "H14.3")))
    (false,) = told(place)
    assert false["tombstonereason"] == "tampered"
    assert "follows from no entry" in verified(place)[0]


def test_a_missing_event_is_seen(place: Place) -> None:
    follow(place)
    refuse(place, BROKEN)
    follow(place)
    with writing(place.gateway.engine) as connection:
        connection.execute(delete(EVENT))
    assert any("stands in no feed" in each for each in verified(place))


def test_a_forgotten_position_is_seen(place: Place) -> None:
    follow(place)
    refuse(place, BROKEN)
    follow(place)
    with writing(place.gateway.engine) as connection:
        connection.execute(delete(INSTANCE).where(INSTANCE.c.key == POSITION))
    assert any("how far the log was followed" in each for each in verified(place))


def test_a_log_that_is_begun_anew_is_followed_from_its_first_entry(place: Place) -> None:
    refuse(place, BROKEN)
    follow(place)
    one, two = refuse(place, BROKEN), refuse(place, BROKEN)
    place.sequence()
    with writing(place.gateway.engine) as connection:
        rows = [row._asdict() for row in connection.execute(select(ENTRY).order_by(ENTRY.c.idx))]
        connection.execute(delete(ENTRY))
        connection.execute(tables.past_entry.insert(), [row | {"origin": "a"} for row in rows])
        new = freeze(Refusal(transfer="r-3", at=NOW, door="rest", failure="x", status=422, contract="c/v1",
                             findings=(BROKEN,)))  # fmt: skip
        row = {"transfer": new.transfer, "phase": new.phase, "entry": new.entry, "leaf": new.leaf}
        connection.execute(ENTRY.insert(), [{"idx": 0, "sequenced": NOW} | row])
    quality = Quality(place.gateway.engine, lock_of(place.gateway.engine), place.gateway.vault, lambda: NOW)
    while quality.step(contract(), lambda connection: None):
        pass
    with place.gateway.engine.connect() as connection:
        made = connection.scalars(select(tables.feed_pending.c.event).order_by(tables.feed_pending.c.id))
        assert [json.loads(each)["subject"] for each in made] == [one, two, "r-3"]


def test_no_grant_opens_it_but_for_readers_of_the_centre() -> None:
    assert not is_closed(QUALITY, "feed", ["centre"])
    assert is_closed(QUALITY, "feed", ["department"]) and is_closed(QUALITY, "recordEvent", ["centre"])
    assert not is_closed("indicator/v1", "submitValues", [])
