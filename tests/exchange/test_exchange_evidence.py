"""What is kept of a transfer, by what its contract says: the log is the same in all three, repeats are told what they
can be told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.journal.database import writing
from gateway.keeper.retention.destruction import Retention
from gateway.transfer import lease as leases
from gateway.transfer.stages import Answered, Refused
from gateway.vault.classes import key_id
from tests.exchange.house import Call, Gateway, house, operation_of, sample
from tests.registry.making import NOW, contracts

DAY = 86_400.0


@pytest.fixture
def gateway(sqlite: Engine, tmp_path: Path) -> Iterator[Gateway]:
    with house(sqlite, tmp_path) as made:
        yield made


def answered(found: Answered | Refused) -> Answered:
    assert isinstance(found, Answered) and found.failure is None, found.failure
    return found


def test_of_what_was_handed_in_the_feed_keeps_its_message(gateway: Gateway) -> None:
    contract, operation = "incident-alert/v1", operation_of("incident-alert/v1", "submit")
    full = answered(gateway.call("full", contract, operation, "m-full")).receipt.transfer
    other = {**sample(contracts()[contract], "Alert"), "identifier": "other"}
    call = Call(contract, operation, "m-less", other)
    less = answered(asyncio.run(gateway.carry(call, "metadata"))).receipt.transfer
    assert gateway.classes(full) == {"request": "m24", "canonical": "m24", "answer": "m24"}
    assert gateway.classes(less) == {"request": "short", "canonical": "m24", "answer": "short", "salt": "m24"}
    assert gateway.entries(full) == gateway.entries(less)


def test_a_repeat_gets_its_answer_as_long_as_it_is_kept_and_then_a_clear_word(gateway: Gateway) -> None:
    contract, operation = "incident-alert/v1", operation_of("incident-alert/v1", "submit")
    first = answered(gateway.call("metadata", contract, operation))
    again = answered(gateway.call("metadata", contract, operation))
    assert (again.answer, again.receipt.transfer) == (first.answer, first.receipt.transfer)
    with writing(gateway.engine) as connection:
        lease = leases.take(connection, "keeper-1", NOW, seconds=1e9)
    assert lease is not None
    gateway.now += 9 * DAY
    Retention(gateway.engine, None, gateway.vault, lambda: gateway.now, clock_is_right=True).run(lease, gateway.now)
    refused = gateway.call("metadata", contract, operation)
    assert isinstance(refused, Refused) and refused.failure.code == "message.answer-gone"
    assert refused.failure.facts["transfer"] == first.receipt.transfer and refused.failure.status == 410
    with gateway.engine.connect() as connection:
        body = json.loads(gateway.vault.open(connection, f"{first.receipt.transfer}/canonical"))
        salt = gateway.vault.open(connection, f"{first.receipt.transfer}/salt")
    assert body and salt.startswith(b"Lgsp-Salt: ") and len(salt) == len(b"Lgsp-Salt: \r\n") + 32


def test_nothing_is_kept_of_a_question_where_nothing_is_to_be_kept(gateway: Gateway) -> None:
    contract, operation = "dossier-status/v1", operation_of("dossier-status/v1", "query")
    full = answered(gateway.call("full", contract, operation, "m-full")).receipt.transfer
    none = answered(gateway.call("none", contract, operation, "m-none"))
    assert set(gateway.classes(full)) == {"request", "forwarded", "provider-answer", "answer"}
    assert none.answer and gateway.classes(none.receipt.transfer) == {}
    assert gateway.entries(full) == gateway.entries(none.receipt.transfer)
    refused = gateway.call("none", contract, operation, "m-none")
    assert isinstance(refused, Refused) and refused.failure.code == "message.answer-gone"
    assert not gateway.vault.keys.stands(key_id(NOW, "short")) and not gateway.vault.keys.stands(key_id(NOW, "open"))


def test_what_is_dispatched_is_kept_as_long_as_it_waits(gateway: Gateway) -> None:
    contract, operation = "field-report/v1", operation_of("field-report/v1", "dispatch")
    waiting = gateway.call("none", contract, operation, "m-1", resting=True)
    done = answered(gateway.call("none", contract, operation, "m-2")).receipt.transfer
    assert isinstance(waiting, Answered) and waiting.queued
    assert (
        gateway.classes(waiting.receipt.transfer) == gateway.classes(done) == {"request": "open", "canonical": "open"}
    )
    with writing(gateway.engine) as connection:
        lease = leases.take(connection, "keeper-1", NOW, seconds=1e9)
    assert lease is not None
    Retention(gateway.engine, None, gateway.vault, lambda: gateway.now).look(lease, gateway.now)
    assert gateway.classes(done) == {} and gateway.classes(waiting.receipt.transfer) == {
        "request": "open",
        "canonical": "open",
    }
