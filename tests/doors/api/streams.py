"""Reads a stream of the APIs as a client over HTTP does: its events as they come, its seals verified."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from contracts.wire.server_events import Event, Reader
from security.http_signatures import signature_of, verify_response
from security.stream_seals import END, SEAL, Running, Sealed
from tests.doors.api.client import World

PATIENCE = 50  # seconds


@dataclass
class Streamed:
    """`events` are those that a seal has proved; `raw` is all that came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    events: list[Event] = field(default_factory=list)
    seals: list[Sealed] = field(default_factory=list)
    ended: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    takes: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def ids(self) -> list[str]:
        return [json.loads(each.data)["id"] for each in self.events if not each.type]

    @property
    def cursor(self) -> str:
        return next(each.id for each in reversed(self.events) if each.id is not None)

    @property
    def end(self) -> dict[str, Any] | None:
        """What the last event says; None as long as there is none."""
        last = self.events[-1] if self.events else None
        told: dict[str, Any] | None = json.loads(last.data) if last is not None and last.type == END else None
        return told

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds(self):
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def streamed(
    world: World, system: str, target: str, headers: Mapping[str, str] | None = None, *, method: str = "GET"
) -> AsyncIterator[Streamed]:
    """An open stream, whose head has come."""
    signed = await world.signed_headers(system, method, target)
    stream, parts = Streamed(), urlsplit(target)
    stream.takes.set()
    seals, reader, waiting = Running(signature_of(signed)), Reader(), list[Event]()
    key = world.gateway.sign.verify_key()

    async def receive() -> dict[str, Any]:
        if not stream.takes.is_set() or stream.status:
            await stream.gone.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        await stream.takes.wait()
        if message["type"] == "http.response.start":
            stream.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            stream.status = message["status"]
            if "signature" in stream.headers and stream.status == 200:
                verify_response(200, stream.headers, b"", signed, key, time.time())
        else:
            stream.raw += message.get("body", b"")
            if stream.status == 200:
                take(message.get("body", b""))
            stream.ended = not message.get("more_body", False)
        stream.changed.set()

    def take(body: bytes) -> None:
        for event in reader.take(body):
            if event.type == SEAL:
                stream.seals.append(seals.check(event.data, {key.key_id: key}.get, time.time()))
                stream.events += waiting
                waiting.clear()
            elif event.data or event.type:
                waiting.append(event)
            seals.take(event.raw)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "client": ("192.0.2.7", 4711),
        "server": ("gateway.example", 8443),
        "headers": [(name.encode(), value.encode()) for name, value in {**signed, **(headers or {})}.items()],
        "extensions": {"tls": {"client_cert_der": world.identities[system].tls_der}},
        "lgsp.abort": stream.gone.set,
    }
    serving = asyncio.create_task(world.app(scope, receive, send))
    try:
        await stream.until(lambda each: each.status or serving.done())
        yield stream
    finally:
        stream.gone.set()
        stream.takes.set()
        await asyncio.wait_for(serving, PATIENCE)
