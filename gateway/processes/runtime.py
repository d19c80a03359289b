"""Opens what door, files worker and keeper have in common: registry, journal, and the way to component systems."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from signal import SIGTERM

import aiohttp
from sqlalchemy import Engine

from adapters.opening import Peers, open_session
from contracts.base.errors import Failure
from gateway.audit.witnessing.admission import admission_check
from gateway.delivery.breaker import rules_for
from gateway.delivery.faults import FaultOrders
from gateway.delivery.forwarder import Forwarder, forwarder_over
from gateway.doors.http.anchors import Anchors
from gateway.exchange.exchange import Exchange
from gateway.exchange.quotas import VendorLimits
from gateway.journal.database import lock_of
from gateway.journal.writer import Journal
from gateway.keys.keyring import Keyring
from gateway.machines.errors import MACHINE_REMOVED
from gateway.machines.own import StateWatch
from gateway.processes import child
from gateway.push.peers import peers_of
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings
from gateway.vault.stores import open_vault
from gateway.workflow.admission import judges
from gateway.workflow.records import Office
from security.encryption_keys import DecryptKey
from security.transparency.entry import keyed


@dataclass(frozen=True, slots=True)
class Runtime:
    """`peers` and `session` lead to component systems; the registry's outside authorities are trusted there too."""

    settings: Settings
    keyring: Keyring
    engine: Engine
    registry: Registry
    journal: Journal
    decrypt_keys: tuple[DecryptKey, ...]
    peers: Peers
    session: aiohttp.ClientSession
    forwarder: Forwarder
    machine: StateWatch

    @classmethod
    async def start(cls, settings: Settings, engine: Engine, process_id: str, kind: str) -> Runtime:
        machine = StateWatch(engine, settings)
        try:
            machine.start()
        except Failure as removed:  # nothing starts on a machine that was removed: it would be tried for ever
            if removed.code == MACHINE_REMOVED.code:
                child.tell_supervisor(settings, SIGTERM)
            raise
        keyring = Keyring(settings)
        registry = Registry(engine, Seal.of(settings))
        registry.start()
        journal = Journal(engine, lock_of(engine), process_id, kind=kind, machine=machine.name)
        journal.start()
        peers = peers_of(keyring, settings, lambda: registry.snapshot)
        registry.follow(Anchors(peers.tls, keyring.client_anchors).take)
        decrypt_keys = keyring.decrypt_keys()  # once for all that decrypts: loading one checks its primes
        session = open_session(peers)
        forwarder = forwarder_over(
            session,
            keyring.signing_key(),
            decrypt_keys,
            time.time,
            rules_for(settings.kind),
            # Not in the keeper: messages that wait are delivered as they should, so that nobody waits behind a fault.
            faults=FaultOrders(engine, time.time) if settings.kind == "sandbox" and kind in ("door", "files") else None,
        )
        return cls(settings, keyring, engine, registry, journal, decrypt_keys, peers, session, forwarder, machine)

    def exchange(self) -> Exchange:
        vault = open_vault(self.settings, self.engine, self.keyring.at_rest)
        hash_id = partial(keyed, self.keyring.hash_key())
        office = Office(engine=self.engine, registry=self.registry, vault=vault, hash_id=hash_id, clock=time.time)
        return Exchange(
            journal=self.journal,
            vault=vault,
            forwarder=self.forwarder,
            engine=self.engine,
            process=self.journal.process_id,
            hash_id=hash_id,
            clock=time.time,
            provider_seconds=self.settings.provider_seconds,
            opaque_hours=self.settings.opaque_body_hours,
            admit=admission_check(self.settings, time.time),
            judges=judges(office),
            vendors=VendorLimits.of(self.settings),
        )

    async def close(self) -> None:
        self.machine.stop()
        await self.session.close()
        await asyncio.to_thread(self.journal.stop)
        self.registry.stop()
        self.engine.dispose()
