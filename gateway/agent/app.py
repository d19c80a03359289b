"""Runs the agent process: store, link to the gateway, queue, and one or two listeners.

Invariant: it listens only after the store is open and the state of an earlier run is loaded.
Invariant: it stops in this order: listeners, accepted requests, store.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from gateway.agent.caller import Caller
from gateway.agent.config import CallerSide, Config, ProviderSide
from gateway.agent.directory import Directory
from gateway.agent.files import FileRoom, Files
from gateway.agent.link import Link
from gateway.agent.listener import Handler, Listener
from gateway.agent.open311.face import Open311
from gateway.agent.open311.following import Following
from gateway.agent.open311.reports import Reports
from gateway.agent.open311.services import ServiceList
from gateway.agent.provider import Provider
from gateway.agent.queue import Queue
from gateway.agent.secret import LocalSecret
from gateway.agent.store import Store, hold, seal_key
from gateway.client import Identity, NoConnection
from gateway.client.identities.trusted import TrustedKeys
from security.pki.tls import SUITES_12

log = logging.getLogger("lgsp.agent")
_FAREWELL: Final = 5.0
# seconds between fetches of the gateway's documents: until all are there, and afterwards
_REFRESH: Final = (2.0, 3600.0)
_ASK_KEYS_AGAIN: Final = 30.0


async def serve(config: Config, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Run until `stop` is set."""
    config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = hold(config.state)
    store = Store(config.database, seal_key(config.seal_key))
    secret, identity = LocalSecret.read(config.secret), Identity.load(config.identity)
    seconds = config.caller.seconds if config.caller is not None else 20.0
    link = Link(config, identity, seconds, time.time)
    reports = Reports(config.database, seal_key(config.seal_key))
    parts = _Parts(config=config, secret=secret, identity=identity, link=link, store=store, reports=reports)
    session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False)
    listeners: list[Listener] = []
    tasks: list[asyncio.Task[None]] = []
    try:
        if config.caller is not None:
            listeners.append(await _caller(parts, config.caller, tasks))
        if config.provider is not None:
            listeners.append(await _provider(parts, config.provider, session))
        ready()
        while not stop.is_set():
            await asyncio.sleep(0.2)  # on Windows an idle loop does not see signals
    finally:
        await asyncio.gather(*(listener.close(_FAREWELL) for listener in listeners))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await link.close()
        await session.close()
        reports.close()
        store.close()
        lock.close()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What both sides of the agent need."""

    config: Config
    secret: LocalSecret
    identity: Identity
    link: Link
    store: Store
    reports: Reports


async def _caller(parts: _Parts, side: CallerSide, tasks: list[asyncio.Task[None]]) -> Listener:
    config, identity, link = parts.config, parts.identity, parts.link
    directory = Directory(link.transport, identity.gateway, config.documents, side.contracts)
    queue = Queue(parts.store, link, side.queue)
    face = Caller(
        side=side,
        secret=parts.secret,
        base=identity.gateway,
        link=link,
        directory=directory,
        queue=queue,
        files=Files(link, FileRoom(config.files, side.files), side.contracts),
    )
    handler = _open311(parts, face) if side.open311 else face
    listener = Listener(handler, limit=config.body_limit, seconds=config.body_seconds, calls=config.calls, side=side)
    tasks += [asyncio.create_task(queue.run()), asyncio.create_task(_keep_fresh(directory))]
    await listener.open(side.listen)
    log.info("%s may call http://%s", identity.system, side.listen)
    return listener


def _open311(parts: _Parts, caller: Caller) -> Handler:
    config, identity = parts.config, parts.identity
    return Open311(
        caller=caller,
        services=ServiceList(caller.directory),
        reports=parts.reports,
        following=Following(parts.link, parts.store, parts.reports, config.language),
        system=f"{identity.agency}/{identity.system}",
    )


async def _keep_fresh(directory: Directory) -> None:
    while True:
        await directory.refresh()
        await asyncio.sleep(_REFRESH[1] if directory.complete else _REFRESH[0])


async def _provider(parts: _Parts, side: ProviderSide, session: aiohttp.ClientSession) -> Listener:
    config, identity, link = parts.config, parts.identity, parts.link
    keys = TrustedKeys(identity)
    asked = -math.inf

    async def learn() -> bool:
        nonlocal asked
        if time.monotonic() - asked < _ASK_KEYS_AGAIN:
            return False
        asked = time.monotonic()
        try:
            raw = await link.transport.send("GET", f"{identity.gateway}/keys", {"accept": "application/json"}, None)
        except NoConnection:
            return False
        return raw.status == 200 and keys.learn(raw.body, time.time())

    face = Provider(
        side=side, identity=identity, secret=parts.secret, keys=keys, store=parts.store, session=session, learn=learn
    )
    listener = Listener(
        face, limit=config.body_limit, seconds=config.body_seconds, calls=config.calls, tls=server_context(identity)
    )
    await listener.open(side.listen)
    log.info("the gateway may call %s at %s, for %s", identity.system, side.base, side.system)
    return listener


def server_context(identity: Identity) -> ssl.SSLContext:
    """The provider listener's TLS: a client must show a certificate of the exchange's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES_12)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(
        identity.folder / "tls.crt", identity.folder / "tls.key", password=identity.passphrase or b""
    )
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(identity.folder / "ca.crt")
    return context
