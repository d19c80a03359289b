"""A whole instance, and what stands beside it: a door that calls are made at, a keeper, the commands. `building` makes
one.

Doors stand in by `Caller`, which hands over what a door would have proved; providers by `Scripted`, which does as it is
told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from unittest import mock

from sqlalchemy import Engine, select

from adapters.errors import PROVIDER_DOWN, PROVIDER_REFUSED, PROVIDER_TIMEOUT, Acted
from adapters.model import Incoming
from contracts.base.ids import new_id
from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import read_json
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.search.index import Indexer
from gateway.delivery.forwarder import Forwardable, Forwarder
from gateway.delivery.policy import RetryPolicy
from gateway.delivery.worker import Deliverer
from gateway.exchange.exchange import Exchange
from gateway.feeds.expiry import Expiring
from gateway.feeds.rekeying import Rekeying
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.write import ReplayKey
from gateway.journal.writer import Journal
from gateway.keeper.tasks.feed_keys import FeedKeys
from gateway.keys.keyring import Keyring
from gateway.registry.registry import Registry
from gateway.settings import Settings
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.transfer.stages import (
    Addressed,
    Answered,
    Authenticated,
    Channel,
    Message,
    Refused,
)
from gateway.vault.vault import Vault
from gateway.workflow.opening import Opening
from gateway.workflow.records import Office
from security.transparency.entry import keyed
from tests.commandline import lgsp
from tests.exchange.house import PlainDoor, received_at


class Caller(PlainDoor):
    """A door after its proofs: who calls, under which message id, and what with."""

    def __init__(self, system: str, message_id: str, message: Message) -> None:
        super().__init__(message_id, message)
        self.system = system

    def authenticate(self, addressed: Addressed) -> Authenticated:
        caller = addressed.snapshot.systems[self.system]
        received = addressed.received
        key = next(key for key in addressed.snapshot.keys.values() if key.system == self.system and key.use == "sign")
        replay = ReplayKey(received.transfer.encode(), received.at + 300)
        proven = addressed._replace(channel=Channel(caller, key.thumbprint))
        return Authenticated(proven, None, replay, self.id.encode().ljust(32, b"."), None)


class Scripted(Forwarder):
    """Providers that do as they are told: answer, refuse, are down, or fall silent after they were asked."""

    def __init__(self, clock: Any) -> None:
        super().__init__({}, clock, policy=RetryPolicy(tries=2))
        self.does = "answer"

    async def forward(self, what: Forwardable, seconds: float) -> Incoming:
        out, back, provider = f"asked {what.open.id}".encode(), f"answered {what.open.id}".encode(), what.provider
        if self.does == "answer":
            return Incoming(sample(what.contract, what.operation.answer), out, back, f"{provider.id}.sign-1", 200, 0.1)
        if self.does == "die":
            raise asyncio.CancelledError
        error, acted = {
            "refuse": (PROVIDER_REFUSED, Acted.NO),
            "down": (PROVIDER_DOWN, Acted.NO),
            "silent": (PROVIDER_TIMEOUT, Acted.MAYBE),
        }[self.does]
        raise error(
            acted=acted,
            evidence_out=out,
            evidence_in=back if self.does == "refuse" else b"",
            system=provider.id,
            reason="x",
        )


def sample(compiled: CompiledContract, message: str) -> Message:
    raw = next(
        each.canonical for each in compiled.samples if each.message == message and each.kind not in ("csv", "xlsx")
    )
    return cast(Message, read_json(raw))


@dataclass
class Whole:
    """The instance, and what stands outside of it: the log's public key, the witness's, the authority's anchors."""

    settings: Settings
    engine: Engine
    lease: Lease
    now: float
    witness: Any = None
    anchors: Any = ()
    empty_list: bytes = b""  # a list of the past, on which what is revoked now does not stand
    counted: float = 0.0  # when the last call was made that counts against a quota
    made: dict[str, str] = field(default_factory=dict)  # transfers, by what became of them

    @classmethod
    def open(cls, settings: Settings, now: float) -> Whole:
        engine = open_engine(settings.database_url)
        with writing(engine) as connection:
            lease = leases.take(connection, new_id(), now, over=leases.holder(connection))
        assert lease is not None
        return cls(settings, engine, lease, now)

    # --- what stands beside the database ------------------------------------------------------------------------------
    @property
    def keyring(self) -> Keyring:
        return Keyring(self.settings)

    @property
    def vkey(self) -> str:
        return self.keyring.log_vkey.read_text("ascii").strip()

    @property
    def note(self) -> str:
        return self.settings.checkpoint_file.read_text("utf-8")

    @property
    def vault(self) -> Vault:
        return Vault(self.settings.vault_keys)

    def hash_id(self, text: str) -> str:
        return keyed(self.keyring.hash_key(), text)

    # --- the keeper ---------------------------------------------------------------------------------------------------
    def sequence(self, minutes: float = 1.0) -> None:
        """What is pending, some minutes later; the last checkpoint of each minute stays."""
        self.now += 60 * minutes
        key = LogKey.open(self.keyring.log_key, self.settings.origin, self.keyring.at_rest)
        sequencer = Sequencer(
            self.engine, None, key, CheckpointFile(self.settings.checkpoint_file), clock=lambda: self.now
        )
        sequencer.run_once(self.lease)
        while sequencer.run_once(self.lease).busy:
            pass

    def index(self) -> None:
        indexer = Indexer(self.engine, None, limit=50)
        while indexer.waiting():
            indexer.step(self.lease)

    def take_up_keys(self) -> None:
        registry = Registry(self.engine)
        task = FeedKeys(registry, Rekeying(self.engine, None, self.vault, self.hash_id))
        while asyncio.run(task.run_once(self.lease)):
            pass

    def look_for_ends(self) -> None:
        """What holds until a time gets its row; nothing ends."""
        contracts = tuple(Registry(self.engine).snapshot.contracts.values())
        while Expiring(self.engine, None, self.vault, self.hash_id, lambda: 0.0).step(contracts, lambda _: None):
            pass

    def open_handlings(self) -> None:
        office = Office(
            engine=self.engine,
            registry=Registry(self.engine),
            vault=self.vault,
            hash_id=self.hash_id,
            clock=lambda: self.now,
        )
        while Opening(office).step(lambda connection: None):
            pass

    def command(self, *words: str) -> None:
        """A command, at the time that the instance is at."""
        with mock.patch("time.time", lambda: self.now):
            done = lgsp(*words, "--data", str(self.settings.data))
        assert done.code == 0, (words, done.out, done.err)


@dataclass
class Door:
    """An exchange over the instance, and the keeper's delivery of what it put aside."""

    whole: Whole
    journal: Journal
    exchange: Exchange
    deliverer: Deliverer
    providers: Scripted
    registry: Registry

    def call(
        self,
        name: str,
        system: str,
        contract: str,
        operation: str,
        *,
        message: str = "",
        does: str = "answer",
        area: str = "",
        fields: Mapping[str, Any] | None = None,
    ) -> Answered | Refused | None:
        """One call; None where the process died in the middle. What it made is remembered under `name`."""
        snapshot = self.registry.snapshot
        compiled = snapshot.contracts[contract]
        op = compiled.contract.operations[operation]
        self.providers.does = does
        self.whole.now += 1
        received = received_at(self.whole.now, snapshot)
        addressed = Addressed(received, cast(Any, None), compiled, op)
        self.whole.made[name] = received.transfer
        body = sample(compiled, op.request) | ({"area": area} if area else {})
        if "identifier" in body:  # each alert is another one
            body["identifier"] = name.replace(" ", "-")
        body |= fields or {}

        async def carried() -> Answered | Refused | None:
            try:
                return await self.exchange.carry(addressed, Caller(system, message or name, body))
            except asyncio.CancelledError:
                return None

        return asyncio.run(carried())

    def deliver(self, does: str, rounds: int = 1) -> None:
        self.providers.does = does

        async def run() -> None:
            for _ in range(rounds):
                self.whole.now += 3600
                await self.deliverer.run_once(self.whole.lease)
                await self.deliverer.finish(30.0)

        asyncio.run(run())


@contextmanager
def door(whole: Whole, process: str = "door-1") -> Iterator[Door]:
    engine, lock = whole.engine, lock_of(whole.engine)
    journal = Journal(engine, lock, process)
    journal.start()

    def clock() -> float:
        return whole.now

    try:
        providers, registry, vault = Scripted(clock), Registry(engine), whole.vault
        exchange = Exchange(journal, vault, providers, engine, process, whole.hash_id, clock, 1.0)
        deliverer = Deliverer(engine, lock, journal, vault, registry, providers, process, clock)
        yield Door(whole, journal, exchange, deliverer, providers, registry)
    finally:
        journal.stop()


def states(whole: Whole) -> dict[str, str]:
    """What became of the transfers; those that were refused are none."""
    with whole.engine.connect() as connection:
        found = {
            str(id): str(state)
            for id, state in connection.execute(select(tables.transfer.c.id, tables.transfer.c.state))
        }
    return {name: found[id] for name, id in whole.made.items() if id in found}
