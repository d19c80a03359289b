"""A query whose route is `@feed` is answered with what stands in the feed now, as the grant shows it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from gateway.feeds import keys
from gateway.journal.schema import tables
from gateway.journal.write import KeyRow
from gateway.transfer.key_seals import sealed
from gateway.transfer.stages import Answered, Refused
from tests.exchange.house import Call, Gateway, house, sample
from tests.registry.making import NOW, PROVINCE, contracts, province

VALUES = "indicator/v1"
FROM_FEED = "KT-02"
QUESTION = {"indicator": FROM_FEED, "area": "04", "period": "2026-Q3"}


@pytest.fixture
def gateway(database: Engine, tmp_path: Path) -> Iterator[Gateway]:
    with house(database, tmp_path) as made:
        yield made


def carried(gateway: Gateway, call: Call) -> Answered:
    outcome = asyncio.run(gateway.carry(call))
    assert isinstance(outcome, Answered), outcome
    return outcome


def hand_in(gateway: Gateway, number: int, **fields: Any) -> Answered:
    value = {**sample(contracts()[VALUES], "IndicatorValue"), **QUESTION, "value": number, **fields}
    return carried(gateway, Call(VALUES, "submitValues", f"in-{number}", {"values": [value]}))


def ask(gateway: Gateway, system: str = "dieu-hanh", message_id: str = "q-1", **fields: str) -> Answered:
    return carried(gateway, Call(VALUES, "getValue", message_id, {**QUESTION, **fields}, system))


def test_what_was_handed_in_is_the_answer_and_no_second_truth(gateway: Gateway) -> None:
    nothing = ask(gateway)
    assert nothing.failure is not None and (nothing.failure.code, nothing.failure.status) == ("feed.no-value", 404)
    first = hand_in(gateway, 1, responsible={"name": "Lan"})
    for number in (2, 3):
        hand_in(gateway, number, responsible={"name": "Lan"})
    answered = ask(gateway, message_id="q-2")
    assert answered.answer is not None and answered.answer["value"] == 3
    assert answered.as_of is not None and first.answer is not None and answered.as_of == first.answer["acceptedAt"]
    other = ask(gateway, message_id="q-3", area="01273")
    assert other.failure is not None and other.failure.code == "feed.no-value"
    again = ask(gateway, message_id="q-2")
    assert again.answer == answered.answer and again.receipt == answered.receipt


def test_the_answer_is_masked_by_the_grant_and_logged(gateway: Gateway) -> None:
    event = hand_in(gateway, 1, responsible={"name": "Lan"})
    full, masked = ask(gateway), ask(gateway, "y-te", "q-2")
    assert full.answer is not None and full.answer["responsible"] == {"name": "Lan"}
    assert masked.answer is not None and "Lan" not in json.dumps(masked.answer, default=str)
    entries = gateway.entries(full.receipt.transfer)
    assert set(entries) == {"intent", "outcome", "feed-answer"}
    with gateway.engine.connect() as connection:
        table = tables.log_pending.c
        note = connection.scalar(select(table.entry).where(table.phase == "feed-answer").order_by(table.id))
        assert note is not None and json.loads(note)["facts"]["event"] == event.receipt.transfer
        row = connection.execute(select(tables.transfer).where(tables.transfer.c.id == full.receipt.transfer)).one()
    assert (row.state, row.provider, row.status) == ("answered", "@feed", 200)


def test_what_is_past_its_retention_is_no_answer(gateway: Gateway) -> None:
    hand_in(gateway, 1)
    gateway.vault.destroy(gateway.vault.seal("x", "y", b"", NOW).key_id, NOW)
    gateway.now += 86_400
    nothing = ask(gateway)
    assert nothing.failure is not None and nothing.failure.code == "feed.no-value"


def test_what_was_recalled_is_no_answer(gateway: Gateway) -> None:
    hand_in(gateway, 1)
    with gateway.engine.begin() as connection:
        table = tables.feed_key
        row = KeyRow(*connection.execute(select(*[table.c[each] for each in KeyRow._fields])).one())
        recalled = sealed(row._replace(state=keys.RECALLED), str)
        connection.execute(table.update().values(state=recalled.state, seal=recalled.seal))
    nothing = ask(gateway)
    assert nothing.failure is not None and nothing.failure.code == "feed.no-value"


@pytest.mark.attack("the row of a business key leads to another value")
@pytest.mark.parametrize("column", ["transfer", "state", "content"])
def test_a_changed_row_gives_no_answer(gateway: Gateway, column: str) -> None:
    first = hand_in(gateway, 1)
    hand_in(gateway, 2)
    with gateway.engine.begin() as connection:
        connection.execute(tables.feed_key.update().values({column: first.receipt.transfer}))
    outcome = asyncio.run(gateway.carry(Call(VALUES, "getValue", "q-1", QUESTION, "dieu-hanh")))
    assert isinstance(outcome, Refused) and outcome.failure.code == "transfer.tampered"


def test_only_a_query_that_the_contract_maps_can_be_routed_to_the_feed() -> None:
    assert "@feed" in PROVINCE
    text = PROVINCE.replace("system: do-thi", 'system: "@feed"')
    with pytest.raises(Exception, match="registry") as caught:
        province(text)
    assert any("answer from the feed" in each.expected for each in caught.value.findings)  # type: ignore[attr-defined]
