"""Many readers of one feed by server-sent events at one door: opening them, what they weigh, and how alerts reach them.

Invariant: it counts only if each stream has each alert once and in order, and if the seals of all of them hold.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from bench.gatewayside import GatewaySide
from bench.load import WrongAnswers, http_bytes
from bench.process import cpu_seconds, memory_mib
from contracts.wire.server_events import Event, Reader
from gateway.keys.keyring import Keyring
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sandbox.standins import messages
from security.http_signatures import signature_of
from security.keys import VerifyKey
from security.stream_seals import SEAL, Running

SETTINGS: Final = {"agency_streams": 2000, "door_streams": 2000, "certificate_connections": 2100,
                   "agency_connections": 2200}  # fmt: skip
_SENDER: Final = "bao-chay"
_OPENING: Final = 8  # at once: more would wait for places to read in
_PATIENCE: Final = 120.0  # seconds


@dataclass(slots=True)
class _Stream:
    """One open stream. `came`: when each alert did, by its identifier."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    running: Running
    came: dict[str, float] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    async def read(self, changed: Callable[[], None]) -> None:
        lines = Reader()
        while size := int((await self.reader.readline()).strip() or b"0", 16):
            part = await self.reader.readexactly(size)
            await self.reader.readexactly(2)
            for event in lines.take(part):
                self.events.append(event)
                if event.data and not event.type:
                    self.came[json.loads(event.data)["data"]["identifier"]] = time.perf_counter()
            changed()

    def proved(self, key: VerifyKey) -> None:
        """The seals of all that came."""
        for event in self.events:
            if event.type == SEAL:
                self.running.check(event.data, lambda id: key if id == key.key_id else None, time.time())
            self.running.take(event.raw)


def measure(side: GatewaySide, feed: str, number: int, alerts: int, say: Callable[[str], None]) -> dict[str, float]:
    """`number` streams of the caller of `side`, to which `alerts` come one by one."""
    return asyncio.run(_measure(side, feed, number, alerts, say))


async def _measure(
    side: GatewaySide, feed: str, number: int, alerts: int, say: Callable[[str], None]
) -> dict[str, float]:
    (listed,) = [each for each in side.client.call("GET", "/feeds").json()["feeds"] if each["contract"] == feed]
    path, context = f"/feeds/{feed}?form=events&after={listed['head']}", side.context
    changed, opening = asyncio.Event(), asyncio.Semaphore(_OPENING)

    async def one() -> _Stream:
        async with opening:
            return await _opened(side, path, context)

    memory, spent, began = memory_mib(side.door_pid), cpu_seconds(side.door_pid), time.perf_counter()
    streams = await asyncio.gather(*(one() for _ in range(number)))
    reading = [asyncio.create_task(each.read(changed.set)) for each in streams]
    await _until(changed, lambda: all(each.events for each in streams))
    opened = time.perf_counter() - began
    measured = {
        "streams": float(number),
        "stream_opened_ms": (cpu_seconds(side.door_pid) - spent) / number * 1000,
        "streams_opened_per_second_by_the_clock": number / opened,
        "stream_memory_kib": (memory_mib(side.door_pid) - memory) / number * 1024,
    }
    say(f"feeds: {number:,} streams opened in {opened:.0f} s")
    sender = RestClient(Identity.load(side.settings.identities / _SENDER))
    names = [f"STREAM-{place:04}" for place in range(alerts)]
    spent, took = cpu_seconds(side.door_pid), list[float]()
    for name in names:
        body = messages.fire_alarm(identifier=name)
        answer = await asyncio.to_thread(sender.call, "POST", "/incident-alert/v1/alerts", body)
        if not answer.ok:
            raise WrongAnswers(f"an alert: {answer.status} {answer.body[:300]!r}")
        acknowledged = time.perf_counter()
        await _until(changed, lambda name=name: all(name in each.came for each in streams))  # type: ignore[misc]
        took += [max(0.0, each.came[name] - acknowledged) for each in streams]
    spent = cpu_seconds(side.door_pid) - spent
    for task, stream in zip(reading, streams, strict=True):
        task.cancel()
        stream.writer.close()
    await asyncio.gather(*reading, return_exceptions=True)
    key = Keyring(side.settings).signing_key().verify_key()
    for stream in streams:
        if list(stream.came) != names or sum(bool(each.data) and not each.type for each in stream.events) != alerts:
            raise WrongAnswers(f"a stream has {list(stream.came)[:5]}, … of {alerts} alerts")
        stream.proved(key)
    took.sort()
    return measured | {
        "stream_event_ms": spent / number / alerts * 1000,
        "stream_event_clock_ms": median(took) * 1000,
        "stream_event_clock_p99_ms": took[int(len(took) * 0.99)] * 1000,
    }


async def _opened(side: GatewaySide, path: str, context: ssl.SSLContext) -> _Stream:
    prepared = side.client.prepare("GET", path, token=side.client.token())
    reader, writer = await asyncio.open_connection("localhost", side.port, ssl=context)
    writer.write(http_bytes("GET", path, f"localhost:{side.port}", list(prepared.headers.items()), b""))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
    if not head.startswith(b"HTTP/1.1 200 ") or b"chunked" not in head:
        raise WrongAnswers(f"a stream: {head[:300]!r}")
    sent = {name.lower(): value for name, value in prepared.headers.items()}
    return _Stream(reader, writer, Running(signature_of(sent)))


async def _until(changed: asyncio.Event, holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not holds():
            changed.clear()
            await changed.wait()
            await asyncio.sleep(0.02)  # so that a look at all streams is rare
