"""The desk process, which serves the people's listener and the one of the metrics, or one of the two.

Invariant: it holds no exchange key, and not the authority's. It has the key of its own TLS, the hash key, and the
  derived key of the registry's seals. With the latter the pages show only what the log confirms.
"""

from __future__ import annotations

import asyncio
import socket
import time

import uvloop

from contracts.base.ids import new_id
from gateway import hardening
from gateway.audit.log.checkpoints import NewestCheckpoint
from gateway.audit.witnessing.config import public_checkpoint
from gateway.console.app import build_desk, build_metrics
from gateway.console.site.page import Beside
from gateway.doors.api.services import DeskServices
from gateway.doors.http import desk_transport
from gateway.doors.http.acceptor import allow_descriptors
from gateway.doors.http.server import make_server
from gateway.journal.database import open_engine
from gateway.journal.limits import for_work
from gateway.journal.taken_up import FOLDER, Register
from gateway.processes import child
from gateway.processes.table import Inherited
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings


def run_desk(settings: Settings, inherited: Inherited) -> None:
    """Serve the people's listener on inherited sockets until told to stop."""
    hardening.leave_no_cores()
    child.set_up_logging()
    allow_descriptors()
    with hardening.private_files(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, inherited))


def _beside(settings: Settings) -> Beside | None:
    """The pages of a sandbox. A production instance does not even load them."""
    if settings.kind != "sandbox":
        return None
    from gateway.sandbox.vendors.web import BESIDE

    return BESIDE


async def _serve(settings: Settings, inherited: Inherited) -> None:
    register = Register(settings.run / FOLDER, f"desk-{new_id()}", "desk")
    engine = open_engine(settings.database_url, for_work(settings.database_seconds))
    registry = Registry(engine, Seal.of(settings))
    registry.start()
    newest = public_checkpoint(settings, NewestCheckpoint(settings.checkpoint_file), time.time)
    services = DeskServices(engine, registry, newest, settings, time.time)
    servers = {}
    if "desk" in inherited.sockets:
        pages = build_desk(services, _beside(settings))
        servers["desk"] = make_server(
            desk_transport.behind(pages, desk_transport.Edge.of(settings)),
            context=desk_transport.context(settings),
            drain_seconds=0.0,
            on_drain=pages.drain,
        )
    if "metrics" in inherited.sockets:
        servers["metrics"] = make_server(
            build_metrics(services), context=None, drain_seconds=0.0, on_drain=lambda: None
        )

    def stop() -> None:
        for server in servers.values():
            server.stop()

    child.stop_when_told(stop, inherited.lifeline)
    child.say_ready(inherited.ready)
    silence = asyncio.create_task(child.watch_loop(settings.silent_seconds, register.trace))
    try:
        await asyncio.gather(
            *(server.serve_on(socket.socket(fileno=inherited.sockets[name])) for name, server in servers.items())
        )
    finally:
        registry.stop()
        engine.dispose()
        await child.end_watch(silence)
        register.close()
