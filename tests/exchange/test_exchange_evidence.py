"""What is kept of a transfer, by what its contract says: the log is the same in all three, repeats are told what they can be told."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine, select

from adapters.model import Incoming
from contracts.base.ids import new_id
from contracts.compiled import CompiledContract
from contracts.model import Evidence
from contracts.wire.jsontext import read_json
from gateway.audit import lease as leases
from gateway.exchange.exchange import Exchange
from gateway.exchange.stages import Addressed, Answered, Authenticated, Authorised, Face, Message, Received, Refused, Requested
from gateway.journal import tables
from gateway.journal.database import lock_of, migrate, open_engine, writing
from gateway.journal.write import ReplayKey
from gateway.journal.writer import Journal
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.retention.chore import Retention
from gateway.vault.classes import key_id
from gateway.vault.vault import Vault
from tests.registry.making import NOW, contracts, filled, province

DAY = 86_400.0


class PlainDoor:
    """A door after its proofs: who calls, and what with."""

    def __init__(self, message_id: str, message: Message) -> None:
        self.id, self.message = message_id, message

    def authenticate(self, addressed: Addressed) -> Authenticated:
        name, operation = addressed.contract.contract.name, addressed.operation
        assert operation is not None
        caller = next(
            each
            for each in addressed.snapshot.systems.values()
            if addressed.snapshot.decide(each.agency, name, operation.name, addressed.received.at).allowed
        )
        return Authenticated(addressed, caller, None, None, ReplayKey(addressed.received.transfer.encode(), NOW + 300), b"d" * 32, None)

    def request(self, authenticated: Authenticated) -> Requested:
        operation = authenticated.addressed.operation
        assert operation is not None
        return Requested(authenticated, self.id, operation, operation.request, b"", "canonical")

    def decode(self, authorised: Authorised) -> Message:
        return self.message


@dataclass
class Provider:
    """What the forwarder finds at the other end."""

    answer: Message
    resting: bool = False

    def is_open(self, system: str) -> bool:
        return self.resting

    async def forward(self, *given: Any, **named: Any) -> Incoming:
        return Incoming(self.answer, b"what went out", b"what came back", "key-1", 200, 0.1)


@dataclass
class Gateway:
    engine: Engine
    journal: Journal
    vault: Vault
    snapshot: Snapshot
    now: float = NOW

    def call(
        self, evidence: Evidence, contract: str, operation: str, message_id: str = "m-1", *, resting: bool = False
    ) -> Answered | Refused:
        compiled = copy.copy(contracts()[contract])
        compiled.contract = replace(compiled.contract, evidence=evidence)
        op = compiled.contract.operations[operation]
        forwarder = cast(Any, Provider(sample(compiled, op.answer), resting))
        exchange = Exchange(self.journal, self.vault, forwarder, self.engine, "door-1", str, lambda: self.now, 1.0)
        received = Received(new_id(), self.now, Face.REST, "POST", "/x", "https://localhost/x", "", {}, b"{}", None, "127.0.0.1")
        addressed = Addressed(received, self.snapshot, compiled, op)
        return asyncio.run(exchange.carry(addressed, PlainDoor(message_id, sample(compiled, op.request))))

    def classes(self, transfer: str) -> dict[str, str]:
        with self.engine.connect() as connection:
            found = connection.execute(select(tables.vault.c.id, tables.vault.c.key_id).where(tables.vault.c.id.startswith(transfer)))
            return {id.partition("/")[2]: key.split(".")[1] for id, key in found}

    def entries(self, transfer: str) -> dict[str, set[str]]:
        """The names of what each entry of a transfer says."""
        table = tables.log_pending.c
        with self.engine.connect() as connection:
            found = connection.execute(select(table.phase, table.entry).where(table.transfer == transfer))
            return {phase: set(json.loads(entry)) for phase, entry in found}


def sample(compiled: CompiledContract, message: str) -> Message:
    raw = next(each.canonical for each in compiled.samples if each.message == message and each.kind != "csv" and each.kind != "xlsx")
    return cast(Message, read_json(raw))


def operation_of(contract: str, pattern: str) -> str:
    return next(each.name for each in contracts()[contract].contract.operations.values() if each.pattern == pattern)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    engine = open_engine(f"sqlite:///{tmp_path / 'lgsp.db'}")
    migrate(engine)
    filled(engine, province(), [])
    journal = Journal(engine, lock_of(engine), "door-1")
    journal.start()
    yield Gateway(engine, journal, Vault(tmp_path / "keys"), Registry(engine).snapshot)
    journal.stop()
    engine.dispose()


def answered(found: Answered | Refused) -> Answered:
    assert isinstance(found, Answered) and found.failure is None, found.failure
    return found


def test_of_what_was_handed_in_the_feed_keeps_its_message(gateway: Gateway) -> None:
    contract, operation = "incident-alert/v1", operation_of("incident-alert/v1", "submit")
    full = answered(gateway.call("full", contract, operation, "m-full")).receipt.transfer
    less = answered(gateway.call("metadata", contract, operation, "m-less")).receipt.transfer
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
    assert gateway.classes(waiting.receipt.transfer) == gateway.classes(done) == {"request": "open", "canonical": "open"}
    with writing(gateway.engine) as connection:
        lease = leases.take(connection, "keeper-1", NOW, seconds=1e9)
    assert lease is not None
    Retention(gateway.engine, None, gateway.vault, lambda: gateway.now).look(lease, gateway.now)
    assert gateway.classes(done) == {} and gateway.classes(waiting.receipt.transfer) == {"request": "open", "canonical": "open"}
