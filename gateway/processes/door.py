"""A door process, put together: one event loop, one journal thread, one registry thread; stateless, one a core.

Invariant: everything that a request needs is made before the door says that it is ready; nothing is compiled, loaded or connected by the
first caller, but for the connection to a provider.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import aiohttp
import uvloop
from sqlalchemy import Engine

from adapters.http import client_context, open_session
from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.folder.bundle import Bundle
from gateway import hardening
from gateway.audit.log.checkpoints import NewestCheckpoint
from gateway.audit.witnessing.admission import gate_of
from gateway.audit.witnessing.config import public_checkpoint
from gateway.delivery.forwarder import forwarder_over
from gateway.doors.api.apis import build_apis
from gateway.doors.api.services import Services
from gateway.doors.exchange_app import ExchangeApp
from gateway.doors.http.acceptor import allow_descriptors
from gateway.doors.http.anchors import Anchors
from gateway.doors.http.channel import mark_of
from gateway.doors.http.costly import Reader, Readings
from gateway.doors.http.costs import Budgets
from gateway.doors.http.edge import Proxies, by_socket, edge_protocol
from gateway.doors.http.limits import Connections, Limits
from gateway.doors.http.server import DrainingServer, PeerProtocol, make_server, tls_context
from gateway.doors.http.taken_up import TakenUp
from gateway.doors.rest import RestDoor, TokenKeeper
from gateway.doors.soap import SoapDoor
from gateway.exchange.exchange import Exchange
from gateway.journal import processes
from gateway.journal.database import lock_of, open_engine
from gateway.journal.taken_up import FOLDER, Register
from gateway.journal.writer import Journal
from gateway.keys.keyring import Keyring
from gateway.processes import child
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import Seal
from gateway.registry.versions import load
from gateway.settings import Settings
from gateway.vault.vault import FORGET_SECONDS, Vault
from security.jose import Opener
from security.transparency.entry import keyed
from security.wssec.decrypt import BodyKeys


class Listeners(NamedTuple):
    """Descriptors of the inherited sockets: for systems themselves, and for proxies over TLS and over a Unix socket."""

    exchange: int
    edge: int | None = None
    edge_socket: int | None = None


@dataclass(slots=True)
class DoorParts:
    """What lives as long as the process."""

    engine: Engine
    registry: Registry
    journal: Journal
    app: ExchangeApp
    session: aiohttp.ClientSession


async def assemble(settings: Settings, process_id: str) -> DoorParts:
    clock = time.time
    keyring = Keyring(settings)
    engine = open_engine(settings.database_url)
    registry = Registry(engine, Seal.of(settings))
    registry.start()
    processes.register(engine, process_id, "door")
    journal = Journal(engine, lock_of(engine), process_id)
    journal.start()
    vault = Vault(settings.vault_keys, at_rest=keyring.at_rest)
    newest = NewestCheckpoint(settings.checkpoint_file)
    signing, decrypt = keyring.signing_key(), keyring.decrypt_keys()
    outgoing = client_context(
        keyring.trust_anchors, keyring.client_certificate, keyring.client_key, keyring.at_rest.password
    )
    registry.follow(Anchors(outgoing, keyring.trust_anchors).take)
    session = open_session(outgoing)
    forwarder = forwarder_over(session, signing, decrypt, clock)
    exchange = Exchange(
        journal,
        vault,
        forwarder,
        engine,
        process_id,
        partial(keyed, keyring.hash_key()),
        clock,
        settings.provider_seconds,
    )
    exchange.gate = gate_of(settings, clock)
    rest = RestDoor(
        TokenKeeper(signing.verify_key(), settings.base, keyring.verify_key),
        signing,
        Opener(decrypt),
        settings.token_endpoint,
        newest.base64,
        clock,
    )
    soap = SoapDoor(signing, BodyKeys(decrypt), newest.note, clock)
    services = Services(
        engine=engine,
        registry=registry,
        journal=journal,
        vault=vault,
        newest_checkpoint=public_checkpoint(settings, newest, clock),
        token_key=signing,
        settings=settings,
        rest=rest,
        exchange=exchange,
        keyring=keyring,
        clock=clock,
    )
    readings = Readings(Reader(partial(_bundle, engine)))
    limits = Limits(settings.agency_calls, settings.source_calls)
    app = ExchangeApp(
        registry,
        exchange,
        rest,
        soap,
        build_apis(services),
        settings.base,
        settings.body_limit,
        settings.body_seconds,
        clock,
        limits,
        Budgets(settings.agency_processor),
        readings,
    )
    return DoorParts(engine, registry, journal, app, session)


def _agency_of(registry: Registry, certificate: bytes) -> str | None:
    """The agency of a certificate that is registered and in force; None also where the registry cannot be read."""
    try:
        snapshot = registry.snapshot
    except Failure:
        return None
    key = snapshot.tls_key(mark_of(certificate))
    return snapshot.systems[key.system].agency if key is not None and key.in_force(time.time()) else None


def _bundle(engine: Engine, digest: str) -> Bundle:
    with engine.connect() as connection:
        return load(connection, digest)


def run_door(settings: Settings, listeners: Listeners, lifeline: int | None, ready: int | None) -> None:
    """Serve the exchange listeners on inherited sockets until told to stop."""
    hardening.leave_no_cores()
    child.set_up_logging()
    allow_descriptors()
    # The journal's thread lets go of the interpreter at each statement; with the usual 5 ms a busy loop would make it wait that long for each.
    sys.setswitchinterval(0.0005)
    with hardening.private_files(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listeners, lifeline, ready))


async def _serve(settings: Settings, listeners: Listeners, lifeline: int | None, ready: int | None) -> None:
    process_id = f"door-{new_id()}"
    register = Register(settings.run / FOLDER, process_id, "door")
    parts = await assemble(settings, process_id)
    parts.app.taken = TakenUp(register, parts.journal)
    keyring = Keyring(settings)

    def drain() -> None:
        parts.app.draining = True

    connections = Connections(
        settings.source_connections,
        settings.certificate_connections,
        settings.agency_connections,
        partial(_agency_of, parts.registry),
    )

    def served(
        descriptor: int, anchors: Path | None, protocol: type[PeerProtocol]
    ) -> tuple[DrainingServer, socket.socket]:
        context = (
            None
            if anchors is None
            else tls_context(keyring.server_certificate, keyring.server_key, anchors, keyring.at_rest.password)
        )
        if context is not None and protocol is PeerProtocol:  # a proxy is known by its own anchors alone
            parts.registry.follow(Anchors(context, keyring.client_anchors).take)
        made = make_server(
            parts.app,
            context=context,
            drain_seconds=settings.drain_seconds,
            on_drain=drain,
            answer_seconds=settings.provider_seconds,
            protocol=protocol,
            connections=connections,
            refusing=parts.app.refusing,
        )
        return made, socket.socket(fileno=descriptor)

    servers = [served(listeners.exchange, keyring.client_anchors, PeerProtocol)]
    if listeners.edge is not None:
        anchors = Path(settings.edge_anchors) if settings.edge_anchors else keyring.client_anchors
        servers.append(
            served(listeners.edge, anchors, edge_protocol(settings.edge_dialect, Proxies.of(settings).admits))
        )
    if listeners.edge_socket is not None:
        servers.append(served(listeners.edge_socket, None, edge_protocol(settings.edge_socket_dialect, by_socket)))

    def stop() -> None:
        for server, _ in servers:
            server.stop()

    child.stop_when_told(stop, lifeline)
    watch = asyncio.create_task(_stop_when_fenced(parts.journal, stop))
    forget = asyncio.create_task(_forget_destroyed(parts.app.exchange.vault))
    gc.collect()
    gc.freeze()  # what was made so far stays for good: no collection need look at it again
    child.say_ready(ready)
    silence = asyncio.create_task(child.watch_loop(settings.silent_seconds, register.trace))
    try:
        await asyncio.gather(*(server.serve_on(listener) for server, listener in servers))
    finally:
        watch.cancel()
        forget.cancel()
        await parts.app.exchange.close()
        if parts.app.readings is not None:
            await parts.app.readings.close()
        await parts.session.close()
        await asyncio.to_thread(parts.journal.stop)
        parts.registry.stop()
        await asyncio.to_thread(processes.end, parts.engine, process_id)
        parts.engine.dispose()
        await child.end_watch(silence)
        register.close()


async def _stop_when_fenced(journal: Journal, stop: Callable[[], None]) -> None:
    """A door that the keeper took for dead may write no more; it ends, and the supervisor starts a new one."""
    while not journal.fenced:
        await asyncio.sleep(0.5)
    stop()


async def _forget_destroyed(vault: Vault) -> None:
    """Keys that retention destroyed are soon in no process's memory either, also in one that nobody calls."""
    while True:
        await asyncio.sleep(FORGET_SECONDS)
        vault.forget_gone()
