"""A webhook reader that catches up: the keeper pushes what waits to a receiver that takes everything at once.

Invariant: it counts only if each event came once and in order, and if the signature of each delivery holds.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bench.gatewayside import GatewaySide
from bench.load import WrongAnswers
from bench.process import cpu_seconds, free_port
from bench.tls import Pair
from gateway.feeds import cursor as cursors
from security import webhooks

SETTINGS: Final = {"push_networks": "127.0.0.0/8 ::1/128"}
_MOST: Final = 1000  # events of a delivery, as the subscriber asks; its bytes have a limit of their own
_SEQUENCE: Final = re.compile(rb'"sequence":"0*([1-9][0-9]*)"')
_QUIET: Final = 60.0  # seconds without a delivery
_SAID: Final = 10.0


@dataclass(slots=True)
class _Receiver:
    """Takes deliveries whose events follow `last`."""

    last: int
    keys: list[Ed25519PublicKey] = field(default_factory=list)
    wrong: str = ""
    deliveries: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                status, answer = "204 No Content", b""
                if b"urn:lgsp:push:challenge" in body:
                    status, answer = "200 OK", json.dumps({"challenge": json.loads(body)["data"]["challenge"]}).encode()
                else:
                    self._take(headers, body)
                length = f"content-length: {len(answer)}\r\n" if answer else ""
                writer.write(f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{length}\r\n".encode() + answer)
                self.came.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _take(self, headers: dict[str, str], body: bytes) -> None:
        webhooks.verify(headers, body, self.keys, time.time())
        offsets = [int(each) for each in _SEQUENCE.findall(body)]
        if offsets != list(range(self.last + 1, self.last + 1 + len(offsets))):
            self.wrong = self.wrong or f"events {offsets[:3]}, … after {self.last}"
        self.deliveries, self.last = self.deliveries + 1, self.last + len(offsets)


def measure(side: GatewaySide, feed: str, number: int, pair: Pair, say: Callable[[str], None]) -> dict[str, float]:
    """The last `number` events of the feed, pushed to the caller of `side`. `pair`: what its receiver shows, by an
    authority of `push_anchors`."""
    return asyncio.run(_measure(side, feed, number, pair, say))


async def _measure(
    side: GatewaySide, feed: str, number: int, pair: Pair, say: Callable[[str], None]
) -> dict[str, float]:
    (listed,) = [each for each in side.client.call("GET", "/feeds").json()["feeds"] if each["contract"] == feed]
    log, offsets = cursors.decode(listed["head"], (feed,))
    newest = offsets[feed]
    port, receiver = free_port(), _Receiver(newest - number)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", port, ssl=context, limit=1 << 20)
    async with server:
        wanted = {"feed": feed, "url": f"https://localhost:{port}/hook", "most": _MOST}
        wanted |= {"after": cursors.encode(feed, newest - number, log)} if number < newest else {"from": "start"}
        spent, began = cpu_seconds(side.keeper_pid), time.perf_counter()
        answer = await asyncio.to_thread(side.client.call, "POST", "/subscriptions", json.dumps(wanted).encode())
        if answer.status != 201:
            raise WrongAnswers(f"a subscription: {answer.status} {answer.body[:300]!r}")
        receiver.keys = [webhooks.public_key(each) for each in answer.json()["keys"]]
        said = began
        while receiver.last < newest and not receiver.wrong:
            receiver.came.clear()
            await asyncio.wait_for(receiver.came.wait(), _QUIET)
            if time.perf_counter() - said >= _SAID:
                said = time.perf_counter()
                say(f"feeds: {number - newest + receiver.last:,} of {number:,} events pushed")
        took, spent = time.perf_counter() - began, cpu_seconds(side.keeper_pid) - spent
    if receiver.wrong:
        raise WrongAnswers(receiver.wrong)
    return {
        "webhook_events": float(number),
        "webhook_events_per_second": number / spent,
        "webhook_events_per_second_by_the_clock": number / took,
        "webhook_events_a_delivery": number / receiver.deliveries,
    }
