"""An exchange with a real journal and a real vault, behind a door whose callers are proven, before a provider that
always answers."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, select

from adapters.model import Incoming
from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.canonical.model import Contract, Evidence
from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import read_json
from gateway.exchange.exchange import Exchange
from gateway.journal.database import lock_of
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow, ReplayKey
from gateway.journal.writer import Journal
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.transfer.stages import (
    Addressed,
    Answered,
    Authenticated,
    Authorised,
    Channel,
    Face,
    Message,
    OpenTransfer,
    Received,
    Refused,
    Requested,
)
from gateway.vault.vault import Vault
from tests.registry.making import NOW, PROVINCE, contracts, filled, province


def received_at(now: float, snapshot: Snapshot, method: str = "POST") -> Received:
    """A call that some door took in at `now`."""
    base = "https://localhost"
    return Received(
        new_id(int(now * 1000)), now, Face.REST, method, "/x", f"{base}/x", "", {}, b"{}", None, "127.0.0.1", snapshot
    )


class PlainDoor:
    """A door after its proofs: who calls, and what with."""

    def __init__(self, message_id: str, message: Message, system: str | None = None) -> None:
        self.id, self.message, self.wanted = message_id, message, system

    def authenticate(self, addressed: Addressed) -> Authenticated:
        name, operation = addressed.contract.contract.name, addressed.operation
        assert operation is not None
        caller = next(
            each
            for each in addressed.snapshot.systems.values()
            if each.id == self.wanted
            or self.wanted is None
            and addressed.snapshot.decide(each.agency, name, operation.name, addressed.received.at).allowed
        )
        proven = addressed._replace(channel=Channel(caller, None))
        return Authenticated(proven, None, ReplayKey(addressed.received.transfer.encode(), NOW + 300), b"d" * 32, None)

    def request(self, authenticated: Authenticated) -> Requested:
        operation = authenticated.addressed.operation
        assert operation is not None
        return Requested(authenticated, self.id, operation, operation.request, b"", "canonical")

    def decode(self, authorised: Authorised) -> Message:
        return self.message

    def here(self, requested: Requested, paths: Sequence[str]) -> str:
        return requested.codec.here(requested.request, paths)


@dataclass
class Provider:
    """What the forwarder finds at the other end."""

    answer: Message
    resting: bool = False
    failure: Failure | None = None

    def is_open(self, system: str) -> bool:
        return self.resting

    def queue_row(self, transfer: OpenTransfer, failure: Failure, now: float) -> QueueRow:
        return QueueRow(transfer.id, transfer.provider or "", f"{transfer.id}/canonical", now + 1, last_failure="x")

    async def forward(self, *given: Any, **named: Any) -> Incoming:
        if self.failure is not None:
            raise self.failure
        return Incoming(self.answer, b"what went out", b"what came back", "key-1", 200, 0.1)


@dataclass(frozen=True)
class Call:
    """`message` is a sample if it is None, `system` the first one that may call."""

    contract: str
    operation: str
    message_id: str = "m-1"
    message: Message | None = None
    system: str | None = None
    bare: bool = False  # by a contract that declares no business key yet


@dataclass
class Gateway:
    engine: Engine
    journal: Journal
    vault: Vault
    snapshot: Snapshot
    now: float = NOW
    forwarder: Any = None  # else one whose provider always answers
    judges: Any = None  # of messages that the gateway itself acts on
    hash_id: Callable[[str], str] = str

    def call(
        self,
        evidence: Evidence,
        contract: str,
        operation: str,
        message_id: str = "m-1",
        *,
        resting: bool = False,
        failure: Failure | None = None,
    ) -> Answered | Refused:
        """Carries the first sample of the request."""
        return asyncio.run(self.carry(Call(contract, operation, message_id), evidence, resting, failure))

    async def carry(
        self, call: Call, evidence: Evidence = "full", resting: bool = False, failure: Failure | None = None
    ) -> Answered | Refused:
        contract, operation = call.contract, call.operation
        compiled = copy.copy(self.snapshot.contracts[contract])
        compiled.contract = replace(compiled.contract, evidence=evidence)
        if call.bare:
            compiled.contract = undeclared(compiled.contract)
        op = compiled.contract.operations[operation]
        forwarder = self.forwarder or cast(Any, Provider(sample(compiled, op.answer), resting, failure))
        exchange = Exchange(
            self.journal, self.vault, forwarder, self.engine, "door-1", self.hash_id, lambda: self.now, 1.0
        )
        exchange.judges = self.judges or {}
        received = received_at(self.now, self.snapshot)
        addressed = Addressed(received, cast(Any, None), compiled, op)
        message = sample(compiled, op.request) if call.message is None else call.message
        if call.message is None and "identifier" in message:  # each alert is another one
            message = {**message, "identifier": call.message_id}
        return await exchange.carry(addressed, PlainDoor(call.message_id, message, call.system))

    def classes(self, transfer: str) -> dict[str, str]:
        with self.engine.connect() as connection:
            found = connection.execute(
                select(tables.vault.c.id, tables.vault.c.key_id).where(tables.vault.c.id.startswith(transfer))
            )
            return {id.partition("/")[2]: key.split(".")[1] for id, key in found}

    def entries(self, transfer: str) -> dict[str, set[str]]:
        """The names of what each entry of a transfer says."""
        table = tables.log_pending.c
        with self.engine.connect() as connection:
            found = connection.execute(select(table.phase, table.entry).where(table.transfer == transfer))
            return {phase: set(json.loads(entry)) for phase, entry in found}


def undeclared(contract: Contract) -> Contract:
    """The contract before it declared its business keys."""
    operations = {name: replace(each, identity=None) for name, each in contract.operations.items()}
    return replace(contract, operations=operations)


def sample(compiled: CompiledContract, message: str) -> Message:
    raw = next(
        each.canonical
        for each in compiled.samples
        if each.message == message and each.kind != "csv" and each.kind != "xlsx"
    )
    return cast(Message, read_json(raw))


def operation_of(contract: str, pattern: str) -> str:
    return next(each.name for each in contracts()[contract].contract.operations.values() if each.pattern == pattern)


@contextmanager
def house(engine: Engine, folder: Path, text: str = PROVINCE) -> Iterator[Gateway]:
    """Over a migrated database."""
    filled(engine, province(text), [])
    journal = Journal(engine, lock_of(engine), "door-1")
    journal.start()
    try:
        yield Gateway(engine, journal, Vault(folder / "keys"), Registry(engine).snapshot)
    finally:
        journal.stop()
