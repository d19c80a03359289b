"""The door process: one event loop, one journal thread, one registry thread. It is stateless; one runs per core.

Invariant: everything that a request needs is made before the door reports ready. The first caller waits for no
compiling, loading or connecting, except the connection to a provider.
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

import uvloop
from sqlalchemy import Engine

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.folder.bundle import Bundle
from gateway import hardening
from gateway.audit.log.checkpoints import NewestCheckpoint
from gateway.audit.witnessing.config import public_checkpoint
from gateway.doors.api.apis import build_apis
from gateway.doors.api.feed_readings import close_sessions
from gateway.doors.api.services import Services
from gateway.doors.document_addresses import site_of
from gateway.doors.exchange_app import ExchangeApp, Record, Trials
from gateway.doors.health import Health, Vitals
from gateway.doors.http.acceptor import allow_descriptors
from gateway.doors.http.anchors import Anchors
from gateway.doors.http.body import Spooling
from gateway.doors.http.channel import mark_of
from gateway.doors.http.costly import Reader, Readings
from gateway.doors.http.costs import Budgets
from gateway.doors.http.edge import Proxies, by_socket, edge_protocol
from gateway.doors.http.limits import Connections, Limits
from gateway.doors.http.peer_protocol import PeerProtocol
from gateway.doors.http.server import DrainingServer, Reading, make_server, tls_context
from gateway.doors.http.shell import Shell
from gateway.doors.http.taken_up import TakenUp
from gateway.doors.rest import RestDoor, TokenKeeper
from gateway.doors.soap import SoapDoor
from gateway.exchange.exchange import Exchange
from gateway.feeds.sessions import IDLE
from gateway.journal.database import open_engine
from gateway.journal.limits import for_calls
from gateway.journal.taken_up import FOLDER, Register
from gateway.journal.writer import Journal
from gateway.machines.joining import Joining
from gateway.machines.records import name_of
from gateway.machines.secrets import Secrets
from gateway.processes import child
from gateway.processes.runtime import Runtime
from gateway.processes.table import Inherited
from gateway.registry.registry import Registry
from gateway.registry.versions import load
from gateway.settings import Settings
from gateway.signals import lines, meters, spans
from gateway.vault.scratch import Room
from gateway.vault.vault import FORGET_SECONDS, Vault
from security.jose import Opener
from security.wssec.decrypt import BodyKeys


@dataclass(slots=True)
class DoorParts:
    """What lives as long as the process."""

    runtime: Runtime
    app: Shell
    exchange: Exchange
    services: Services
    readings: Readings


async def assemble(settings: Settings, process_id: str) -> DoorParts:
    clock, limits = time.time, for_calls(settings.database_seconds)
    runtime = await Runtime.start(settings, open_engine(settings.database_url, limits), process_id, "door")
    keyring, engine, registry = runtime.keyring, runtime.engine, runtime.registry
    newest = NewestCheckpoint(settings.checkpoint_file)
    signing, decrypt = keyring.signing_key(), runtime.decrypt_keys
    exchange = runtime.exchange()
    rest = RestDoor(
        TokenKeeper(signing.verify_key(), settings.base, keyring.verify_key),
        signing,
        Opener(decrypt),
        settings.token_endpoint,
        newest.base64,
        clock,
        settings.kind == "sandbox",
        settings.body_limit,
    )
    soap = SoapDoor(signing, BodyKeys(decrypt), newest.note, clock, settings.kind == "sandbox", settings.body_limit)
    services = Services(
        engine=engine,
        registry=registry,
        journal=runtime.journal,
        vault=exchange.vault,
        newest_checkpoint=public_checkpoint(settings, newest, clock),
        token_key=signing,
        settings=settings,
        rest=rest,
        exchange=exchange,
        keyring=keyring,
        clock=clock,
    )
    readings = Readings(Reader(partial(_bundle, engine)))
    app = ExchangeApp(
        exchange=exchange,
        rest=rest,
        soap=soap,
        apis=build_apis(services),
        base=settings.base,
        site=site_of(settings),
        body_limit=settings.body_limit,
        clock=clock,
        readings=readings,
        spooling=Spooling(
            Room(settings.run / "bodies", settings.large_bodies), settings.large_body_limit, readings.threads
        ),
        record=_recorder(settings, exchange, runtime.journal, clock),
        trials=_trials(settings, exchange, clock),
        joining=Joining(engine, Secrets.of(settings), clock),
    )

    def leaving() -> bool:
        return not runtime.machine.works

    shell = Shell(
        app=app,
        registry=registry,
        base=settings.base,
        body_seconds=settings.body_seconds,
        clock=clock,
        health=Health(
            Vitals(
                engine,
                registry,
                clock,
                settings.drop_root,
                journal=runtime.journal,
                leaving=leaving,
                seconds=settings.database_seconds,
                keys=exchange.vault.keys,
            )
        ),
        leaving=leaving,
        limits=Limits(settings.agency_calls, settings.source_calls),
        budgets=Budgets(settings.agency_processor),
    )
    return DoorParts(runtime, shell, exchange, services, readings)


def _recorder(settings: Settings, exchange: Exchange, journal: Journal, clock: Callable[[], float]) -> Record | None:
    """What keeps the calls of a sandbox's vendors. A production instance does not even load it."""
    if settings.kind != "sandbox":
        return None
    from gateway.sandbox.calls.recorder import Recorder

    return Recorder(journal, exchange.vault, clock)


def _trials(settings: Settings, exchange: Exchange, clock: Callable[[], float]) -> Trials | None:
    """The runs of conformance of a sandbox's callers. A production instance does not even load them."""
    if settings.kind != "sandbox":
        return None
    from gateway.sandbox.conformance import trial

    return trial.Trials(settings.run / trial.FOLDER, exchange.refusals, clock)


def _agency_of(registry: Registry, certificate: bytes) -> str | None:
    """The agency of a registered certificate in force. None also if the registry cannot be read."""
    try:
        snapshot = registry.snapshot
    except Failure:
        return None
    key = snapshot.tls_key(mark_of(certificate))
    return snapshot.systems[key.system].agency if key is not None and key.in_force(time.time()) else None


def _bundle(engine: Engine, digest: str) -> Bundle:
    with engine.connect() as connection:
        return load(connection, digest)


def run_door(settings: Settings, inherited: Inherited) -> None:
    """Serve the exchange listeners on inherited sockets until told to stop."""
    hardening.leave_no_cores()
    lines.set_up(inherited.name or "door", settings.log_format)
    allow_descriptors()
    # The journal's thread releases the interpreter's lock at each statement. At the default of 5 ms a busy loop
    # would delay each statement by that long.
    sys.setswitchinterval(0.0005)
    with hardening.private_files(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, inherited))


async def _serve(settings: Settings, inherited: Inherited) -> None:
    process_id, sockets = f"door-{new_id()}", inherited.sockets
    register = Register(settings.run / FOLDER, process_id, "door")
    meters.keep_in(settings.run, "door")
    spans.send_to(settings.otlp_url, "door", name_of(settings), settings.origin)
    parts = await assemble(settings, process_id)
    parts.app.taken = TakenUp(register, parts.runtime.journal)
    keyring = parts.runtime.keyring

    def drain() -> None:
        parts.app.draining = True

    connections = Connections(
        settings.source_connections,
        settings.certificate_connections,
        settings.agency_connections,
        partial(_agency_of, parts.runtime.registry),
    )

    def served(
        descriptor: int, anchors: Path | None, protocol: type[PeerProtocol]
    ) -> tuple[DrainingServer, socket.socket]:
        context = (
            None
            if anchors is None
            else tls_context(keyring.server_certificate, keyring.server_key, anchors, keyring.at_rest.password)
        )
        if context is not None and protocol is PeerProtocol:  # a proxy is authenticated by its own anchors alone
            parts.runtime.registry.follow(Anchors(context, keyring.client_anchors).take)
        server = make_server(
            parts.app,
            context=context,
            drain_seconds=settings.drain_seconds,
            on_drain=drain,
            answer_seconds=settings.provider_seconds,
            reading=Reading(protocol, connections, parts.app.refusing),
        )
        return server, socket.socket(fileno=descriptor)

    servers = [served(sockets["exchange"], keyring.client_anchors, PeerProtocol)]
    if "edge" in sockets:
        anchors = Path(settings.edge_anchors) if settings.edge_anchors else keyring.trust_anchors
        servers.append(
            served(sockets["edge"], anchors, edge_protocol(settings.edge_dialect, Proxies.of(settings).admits))
        )
    if "edge_socket" in sockets:
        servers.append(served(sockets["edge_socket"], None, edge_protocol(settings.edge_socket_dialect, by_socket)))

    def stop() -> None:
        for server, _ in servers:
            server.stop()

    child.stop_when_told(stop, inherited.lifeline)
    watch = asyncio.create_task(_stop_when_fenced(parts.runtime.journal, stop))
    forget = asyncio.create_task(_forget_destroyed(parts.exchange.vault))
    sessions = asyncio.create_task(_close_idle_sessions(parts.services))
    gc.collect()
    gc.freeze()  # what exists now is permanent: no collection needs to examine it again
    child.say_ready(inherited.ready)
    silence = asyncio.create_task(child.watch_loop(settings.silent_seconds, register.trace))
    try:
        await asyncio.gather(*(server.serve_on(listener) for server, listener in servers))
    finally:
        watch.cancel()
        forget.cancel()
        sessions.cancel()
        await close_sessions(parts.services, all=True)
        await parts.exchange.refusals.close()
        await parts.readings.close()
        await parts.runtime.close()
        await asyncio.to_thread(spans.end)
        await child.end_watch(silence)
        register.close()


async def _stop_when_fenced(journal: Journal, stop: Callable[[], None]) -> None:
    """Stop a door that the keeper declared dead: it may write no more, and the supervisor starts a new one."""
    while not journal.fenced:
        await asyncio.sleep(0.5)
    stop()


async def _close_idle_sessions(services: Services) -> None:
    while True:
        await asyncio.sleep(IDLE / 4)
        await close_sessions(services)


async def _forget_destroyed(vault: Vault) -> None:
    """Remove the keys that retention destroyed from memory, also in a process that gets no calls."""
    while True:
        await asyncio.sleep(FORGET_SECONDS)
        vault.forget_gone()
