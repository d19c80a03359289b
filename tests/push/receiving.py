"""A receiver of webhooks over TLS on the loopback, as a subscriber would run one; and a keeper's pusher beside an API
world."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from sqlalchemy import select

from adapters.http import client_context
from adapters.opening import Peers
from gateway.journal.database import lock_of
from gateway.journal.schema import tables
from gateway.journal.schema.push_tables import push_subscription
from gateway.push.addresses import Networks
from gateway.push.batches import Reading
from gateway.push.posting import Limits, Poster
from gateway.push.sending import Pusher
from security import webhooks
from security.http_signatures import HttpRequest, sign_request, verify_request
from tests.doors.api.client import BASE, Answer, World, ask
from tests.registry.making import House, Identity

LOOPBACK = "127.0.0.0/8 ::1/128"
FEED = "incident-alert/v1"
Reply = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """`behave` answers deliveries; challenges are echoed unless `echo` is false."""

    url: str
    echo: bool = True
    behave: Reply | None = None
    keys: tuple[str, ...] = ()
    gateway: Identity | None = None
    deliveries: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    challenges: int = 0

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events as they came, also those that came twice."""
        return [event for _, body in self.deliveries for event in _events(body)]

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    def verified(self, headers: dict[str, str], body: bytes) -> str:
        """The id of a delivery whose signature holds."""
        if "webhook-signature" in headers:
            assert self.keys
            return webhooks.verify(headers, body, [webhooks.public_key(each) for each in self.keys], time.time())
        assert self.gateway is not None
        key = self.gateway.sign.verify_key()
        need = ("idempotency-key", "lgsp-caller")
        request = HttpRequest("POST", self.url, headers, body)
        verify_request(request, lambda id: key if id == key.key_id else None, time.time(), need=need)
        return headers["idempotency-key"].strip('"')

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if b"urn:lgsp:push:challenge" in body:
            self.challenges += 1
            word = json.loads(body)["data"]["challenge"]
            return web.json_response({"challenge": word if self.echo else "no"})
        if self.behave is not None:
            return await self.behave(request, body)
        return self.keep(headers, body)

    def keep(self, headers: dict[str, str], body: bytes) -> web.Response:
        self.deliveries.append((headers, body))
        return web.Response(status=204)


def _events(body: bytes) -> list[dict[str, Any]]:
    content = json.loads(body)
    return content if isinstance(content, list) else [content]


@asynccontextmanager
async def receiving(identity: Identity, host: str = "localhost") -> AsyncIterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*identity.tls_files)
    receiver = Receiver("")
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"https://{host}:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def pushing(
    world: World,
    keys: House,
    *,
    networks: str = LOOPBACK,
    seconds: float = 5.0,
    dead: float = 86_400.0,
    lookup: Any = None,
) -> AsyncIterator[Pusher]:
    """A keeper's pusher over the world's database; `World.lease` is its lease."""
    gateway = world.gateway
    tls = client_context(keys.anchors, *gateway.tls_files)
    tls.load_verify_locations(cadata=keys.tls.pem.decode())
    judged = Networks(networks)
    peers = Peers(tls, reachable=lambda system, address: judged.allow(address), lookup=lookup)
    pusher = Pusher(
        engine=world.engine,
        lock=lock_of(world.engine),
        journal=world.journal,
        registry=world.services.registry,
        reading=Reading(world.engine, world.vault, gateway.sign),
        poster=Poster(peers, judged),
        hash_id=world.services.exchange.hash_id,
        key=gateway.sign,
        clock=time.time,
        dead_seconds=dead,
        limits=Limits(connect=2.0, total=seconds),
    )
    try:
        yield pusher
    finally:
        await pusher.finish(2.0)


async def run(pusher: Pusher, world: World, until: Callable[[], bool], seconds: float = 120.0) -> None:
    """Runs it as the leader does, until something is so."""
    async with asyncio.timeout(seconds):
        while not until():
            await pusher.run_once(world.lease)
            await asyncio.sleep(0.01)


async def call(world: World, system: str, method: str, target: str, body: Any = None) -> Answer:
    """A signed call with or without a JSON body."""
    headers = {"authorization": f"Bearer {await world.bearer(system)}", "accept-language": "en"}
    raw = b"" if body is None else json.dumps(body).encode()
    headers |= {"content-type": "application/json"} if raw else {}
    request = HttpRequest(method, BASE + target, headers, raw)
    headers |= sign_request(request, world.identities[system].sign, time.time(), nonce=secrets.token_urlsafe(18))
    return await ask(world.app, method, target, headers, raw, certificate=world.identities[system].tls_der)


async def subscribed(world: World, receiver: Receiver, system: str = "dieu-hanh", **more: Any) -> str:
    """The id of a new subscription."""
    wish = {"feed": FEED, "url": receiver.url, "from": "start", **more}
    answer = await call(world, system, "POST", "/subscriptions", wish)
    assert answer.status in (200, 201), answer.body
    id: str = answer.json["id"]
    return id


def row(world: World, id: str) -> Any:
    with world.engine.connect() as connection:
        return connection.execute(select(push_subscription).where(push_subscription.c.id == id)).one()


async def filled(world: World, count: int, first: int = 1) -> list[str]:
    """Events in the feed; their ids."""
    transfers = [f"01935b6e-0000-7000-8000-{number:012d}" for number in range(first, first + count)]
    for transfer in transfers:
        await world.hand_in(transfer, {"identifier": transfer, "note": "ghi chú"})
    world.sequence()
    return transfers


def acts(world: World, id: str) -> list[dict[str, Any]]:
    """The facts of the entries of a subscription's acts, oldest first."""
    found: list[bytes] = []
    with world.engine.connect() as connection:
        for table in tables.LOGS:
            found += connection.scalars(select(table.c.entry).where(table.c.transfer == id)).all()
    facts = [json.loads(bytes(each))["facts"] for each in found]
    return sorted(facts, key=lambda each: int(each["revision"]))


def allow_loopback(world: World) -> None:
    object.__setattr__(world.services.settings, "push_networks", LOOPBACK)
