"""A sandbox's folder, keys and registry without its processes; the gateway's own adapters call what is simulated."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from sqlalchemy import Engine

from adapters.model import Adapter, AdapterServices, Endpoint, Incoming, Outgoing
from adapters.opening import open_session
from adapters.rest import make as make_rest
from adapters.soap import make as make_soap
from bench.demo import demo_settings
from contracts.compiled.contract import CompiledContract
from gateway.journal.database import open_engine, snapshot
from gateway.keys.keyring import Keyring
from gateway.push.peers import peers_of
from gateway.registry.snapshot import load_snapshot
from gateway.sample_client.identity import Identity
from gateway.sandbox import live
from gateway.sandbox.instance import make_instance
from gateway.sandbox.simulation.provider import Simulation
from gateway.sandbox.simulation.published import Published
from gateway.sandbox.standins.base import serving
from gateway.settings import Settings

SYSTEM = "mot-cua"  # whose identity the simulated system has


@dataclass
class Simulated:
    """A running simulation, called with the gateway's keys through the gateway's adapters."""

    settings: Settings
    engine: Engine
    simulation: Simulation
    url: str
    endpoint: Endpoint
    adapters: dict[str, Adapter]
    loop: asyncio.AbstractEventLoop  # of the adapters

    def contracts(self) -> dict[str, CompiledContract]:
        return dict(Published(self.engine)())

    def call(self, place: str, kind: str, outgoing: Outgoing, **options: str) -> Incoming:
        """One call to `/{system}{place}`. Raises what the adapter raises."""
        return asyncio.run_coroutine_threadsafe(self.call_soon(place, kind, outgoing, **options), self.loop).result(60)

    async def call_soon(self, place: str, kind: str, outgoing: Outgoing, **options: str) -> Incoming:
        endpoint = replace(self.endpoint, kind=kind, url=f"{self.url}/{SYSTEM}{place}", options=options)
        return await self.adapters[kind].call(endpoint, outgoing)

    def fault(self, kind: str, seconds: float = 0.0, count: int = 1) -> None:
        self.simulation.set_fault(SYSTEM, {"kind": kind, "seconds": seconds, "count": count})

    def asked(
        self, compiled: CompiledContract, operation: str, message: dict[str, Any], format_name: str = "canonical",
        transfer: str | None = None, timeout: float = 10.0,
    ) -> Outgoing:  # fmt: skip
        return Outgoing(
            transfer=transfer or str(uuid.uuid4()),
            caller="H14.7/y-te",
            operation=compiled.contract.operations[operation],
            codec=compiled.codec(format_name),
            message=message,
            timeout=timeout,
            encrypted=compiled.contract.protection == "encrypted",
        )


async def _adapters(settings: Settings) -> tuple[aiohttp.ClientSession, dict[str, Adapter]]:
    keyring = Keyring(settings)
    session = open_session(peers_of(keyring, settings))
    services = AdapterServices(session, keyring.signing_key(), keyring.decrypt_keys(), time.time)
    return session, {"rest": make_rest(services), "soap": make_soap(services)}


@contextmanager
def _looping() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="adapters", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    settings = demo_settings(tmp_path_factory.mktemp("simulated") / "data")
    make_instance(settings, live.choose_endpoints(settings), time.time(), province=True)
    engine = open_engine(settings.database_url)
    simulation = Simulation(
        Identity.load(settings.identities / SYSTEM),
        identities=settings.identities,
        published=Published(engine, every=0.0),
    )
    try:
        with snapshot(engine) as connection:
            endpoint = load_snapshot(connection).systems[SYSTEM].endpoint
        assert endpoint is not None
        with serving(simulation) as url, _looping() as loop:
            session, adapters = asyncio.run_coroutine_threadsafe(_adapters(settings), loop).result(60)
            yield Simulated(settings, engine, simulation, url, endpoint, adapters, loop)
            asyncio.run_coroutine_threadsafe(session.close(), loop).result(60)
    finally:
        engine.dispose()
