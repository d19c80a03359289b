"""A month of an instance: officers, operators, systems and providers at work, at the times that the test sets.

Changes are made by the commands with which people make them. Calls go through the exchange and the feeds' API, from
callers that have proved themselves. Nothing is recorded here: the test keeps its own record.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import pytest
import yaml

from adapters.errors import PROVIDER_DOWN, Acted
from adapters.model import Adapter, Endpoint, Incoming, Outgoing
from contracts.base.ids import new_id
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.search.index import Indexer
from gateway.delivery.forwarder import Forwarder
from gateway.delivery.worker import Deliverer
from gateway.doors.api.feed_readings import close_sessions
from gateway.doors.api.feeds import read_feed
from gateway.doors.api.services import ApiRequest, Caller, Services
from gateway.exchange.exchange import Exchange
from gateway.journal.database import lock_of, open_engine, snapshot, writing
from gateway.journal.write import ReplayKey
from gateway.journal.writer import Journal
from gateway.keys.keyring import Keyring
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import Seal
from gateway.sandbox.instance import make_instance
from gateway.settings import load
from gateway.transfer import lease as leases
from gateway.transfer.stages import Addressed, Answered, Authenticated, Channel, Face, Received, Refused
from gateway.vault.vault import Vault
from security.transparency.entry import keyed
from tests import commandline
from tests.exchange.house import PlainDoor, sample
from tests.registry.making import NOWHERE, WHOLE, contracts

OFFICERS: Final = ("can-bo-an-toan-1", "can-bo-an-toan-2")
_REPLAYS: Final = 10 * 365 * 86_400.0


class _Door(PlainDoor):
    """A door to which this system has proved itself."""

    def authenticate(self, addressed: Addressed) -> Authenticated:
        assert self.wanted is not None
        proven = addressed._replace(channel=Channel(addressed.snapshot.systems[self.wanted], None))
        received = addressed.received
        replay = ReplayKey(received.transfer.encode(), received.at + _REPLAYS)
        return Authenticated(proven, None, replay, bytes.fromhex(received.transfer.replace("-", "")) * 2, None)


class Providers:
    """The systems that are called: each answers with a sample, but for those that are down."""

    def __init__(self) -> None:
        self.down: set[str] = set()

    async def call(self, endpoint: Endpoint, outgoing: Outgoing) -> Incoming:
        if endpoint.system in self.down:
            raise PROVIDER_DOWN(acted=Acted.NO, system=endpoint.system, reason="x")
        contract = contracts()[outgoing.codec.contract.name]
        return Incoming(sample(contract, outgoing.operation.answer), b"went out", b"came back", "key-1", 200, 0.1)


class Told(NamedTuple):
    """What a caller was told: its transfer, and the code if it was not answered."""

    transfer: str
    code: str | None
    queued: bool = False


class Month:
    """`now` is what all clocks show while the month is played."""

    def __init__(self, folder: Path, begins: float) -> None:
        self.now = begins
        self.folder = folder
        self.settings = load(folder / "data", environment={})
        systems = ("do-thi", "kinh-te", "mo-phong", "truong-ha")
        with self._clocks():
            make_instance(self.settings, dict.fromkeys(systems, NOWHERE), begins, province=True)
        self.settings = settings = load(self.settings.data, environment={})
        self.document: dict[str, Any] = yaml.safe_load(WHOLE)
        for each in self.document["systems"]:
            if each.get("endpoint", {}).get("kind") in ("rest", "soap"):
                each["endpoint"]["url"] = re.sub(r"[{][a-z-]+[}]", NOWHERE, each["endpoint"]["url"])
        self.engine = engine = open_engine(settings.database_url)
        keyring, clock = Keyring(settings), lambda: self.now
        key = LogKey.open(keyring.log_key, settings.origin, keyring.at_rest)
        self._sequencer = Sequencer(engine, None, key, CheckpointFile(settings.checkpoint_file), clock=clock)
        with writing(engine) as connection:
            lease = leases.take(connection, "keeper-1", begins, seconds=_REPLAYS)
        assert lease is not None
        self._lease, self._indexer = lease, Indexer(engine, None)
        self._registry = Registry(engine, Seal.of(settings))
        self._journal = Journal(engine, lock_of(engine), "door-1")
        self._journal.start()
        vault, hash_id = Vault(settings.vault_keys, at_rest=keyring.at_rest), partial(keyed, keyring.hash_key())
        self.providers = Providers()
        adapter = cast(Adapter, self.providers)
        forwarder = Forwarder({"rest": adapter, "soap": adapter}, clock)
        self._exchange = Exchange(self._journal, vault, forwarder, engine, "door-1", hash_id, clock, 1.0)
        self._services = Services(
            engine=engine,
            registry=self._registry,
            journal=self._journal,
            vault=vault,
            newest_checkpoint=cast(Any, None),
            token_key=cast(Any, None),
            settings=settings,
            rest=cast(Any, None),
            exchange=self._exchange,
            keyring=keyring,
            clock=clock,
        )
        self._deliverer = Deliverer(engine, None, self._journal, vault, self._registry, forwarder, "keeper-1", clock)
        self.sequence()

    def close(self) -> None:
        self.sequence()
        self._journal.stop()
        self.engine.dispose()

    @contextmanager
    def _clocks(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: self.now)
            yield

    # --- people ---------------------------------------------------------------------------------------------------
    def lgsp(self, *words: str) -> dict[str, Any]:
        """A command at this moment. Its changes are known to the doors at once."""
        with self._clocks():
            code, out, err = commandline.lgsp(*words, "--data", str(self.settings.data), "--json")
        assert code == 0, out + err
        with snapshot(self.engine) as connection:
            self._registry.refresh(connection)
        self.sequence()
        told: dict[str, Any] = json.loads(out)
        return told

    def propose(self, grant: Mapping[str, Any]) -> None:
        file = self.folder / "grant.yaml"
        file.write_text(yaml.safe_dump({"grants": [dict(grant)]}, allow_unicode=True), "utf-8")
        self.lgsp("access", "propose", str(file), "--replace")

    def sign(self, subject: str, officer: str) -> None:
        key = self.settings.identities / officer / "officer.key"
        self.lgsp("access", "approve", subject, "--officer", officer, "--key", str(key))

    def apply(self) -> None:
        """The registry document as it is now; the officers sign what they want to, later."""
        file = self.folder / "province.yaml"
        file.write_text(yaml.safe_dump(self.document, allow_unicode=True, sort_keys=False), "utf-8")
        self.lgsp("registry", "apply", str(file), "--no-sign")

    def entry(self, kind: str, name: str) -> dict[str, Any]:
        """Of the document: an agency, a system."""
        key = "code" if kind == "agencies" else "id"
        return next(each for each in self.document[kind] if each[key] == name)

    # --- systems --------------------------------------------------------------------------------------------------
    def call(self, system: str, contract: str, operation: str, **changed: Any) -> Told:
        """The first sample of the request, with some of its values changed."""
        registered = self._registry.snapshot
        compiled = registered.contracts[contract]
        op = compiled.contract.operations[operation]
        received = self._received("POST")
        addressed = Addressed(received, cast(Any, None), compiled, op)
        message = {**sample(compiled, op.request), **changed}
        door = _Door(received.transfer, cast(Any, message), system)
        told = asyncio.run(self._exchange.carry(addressed, door))
        self.sequence()
        if isinstance(told, Refused):
            return Told(received.transfer, told.failure.code)
        assert isinstance(told, Answered)
        return Told(received.transfer, told.failure.code if told.failure is not None else None, told.queued)

    def read(self, system: str, contract: str) -> int:
        """All of a feed, in a session of its own. Returns the number of events."""
        snapshot, received = self._registry.snapshot, self._received("GET")
        caller = Caller(snapshot.systems[system], "key-1", ReplayKey(received.transfer.encode(), self.now + _REPLAYS))
        name, _, major = contract.partition("/v")
        params = {"contract": name, "major": int(major), "after": None, "limit": 1000}
        params |= {"since": None, "until": None, "wait": 0, "form": "object", "coding": "identity"}
        request = ApiRequest(cast(Any, None), received, params, caller=caller)

        async def reading() -> int:
            reply = await read_feed(self._services, request)
            await close_sessions(self._services, all=True)
            return len(json.loads(reply.body)["events"])

        count = asyncio.run(reading())
        self.sequence()
        return count

    def deliver(self) -> int:
        """What is due in the queue."""

        async def once() -> int:
            count = await self._deliverer.run_once(self._lease)
            await self._deliverer.finish()
            return count

        count = asyncio.run(once())
        self.sequence()
        return count

    def _received(self, method: str) -> Received:
        target, id = "https://localhost/x", new_id(int(self.now * 1000))
        registered = self._registry.snapshot
        return Received(id, self.now, Face.REST, method, "/x", target, "", {}, b"{}", None, "127.0.0.1", registered)

    # --- the keeper -----------------------------------------------------------------------------------------------
    def sequence(self) -> None:
        while self._sequencer.run_once(self._lease).busy or not self.settings.checkpoint_file.exists():
            pass
        while self._indexer.step(None):
            pass
