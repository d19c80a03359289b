"""More readers of a feed that go on through every fault: a stream, and a receiver of webhooks that lies now and then; a
system whose alerts correct and recall one another; and what must stand after them."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from contextlib import aclosing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lxml import etree

from gateway.client import AsyncClient, Client, Identity, NoConnection, Refused, RefusedOurs
from gateway.client.webhooks import Subscriptions, Trust, receive
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.faults.following import Background

LIES = ("500", "500 for what it kept", "slow", "no answer", "drops after 200")
CAP = f"{{{messages.CAP}}}"


def client(settings: Settings, system: str, name: str, **more: Any) -> Client:
    """Each has its own folder of checkpoints."""
    return Client(Identity.load(settings.identities / system), state=settings.data / "clients" / name, **more)


class Streaming(Background):
    """Reads a feed as a stream of the kit, which connects again by itself: `events` in the order that they came."""

    def __init__(self, settings: Settings, contract: str, system: str = "dieu-hanh") -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []
        self.broken = 0  # streams that ended with a refusal
        self._settings, self._contract, self._system = settings, contract, system

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        folder = self._settings.data / "clients" / "stream"
        identity = Identity.load(self._settings.identities / self._system)
        async with AsyncClient(identity, state=folder) as reader:
            follower = asyncio.create_task(self._follow(reader))
            while not self.stopping.is_set() and not follower.done():
                await asyncio.sleep(0.1)
            if follower.done():
                follower.result()
            follower.cancel()
            await asyncio.wait([follower])

    async def _follow(self, reader: AsyncClient) -> None:
        after: str | None = None
        while True:
            try:
                async with aclosing(reader.stream(self._contract, after)) as events:
                    async for cursor, event in events:
                        self.events.append(event)
                        after = cursor
            except RefusedOurs:  # asked to wait for longer than the kit does
                self.broken += 1
                await asyncio.sleep(0.1)


class Receiving(Background):
    """Is sent a feed by webhooks: `events` as they came, each `id` once. About every third delivery it answers with one
    of the `LIES`, of which `lies` counts each, until `honest` is set."""

    def __init__(self, settings: Settings, contract: str, chance: random.Random, system: str = "dieu-hanh") -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []
        self.again = 0  # events that came before
        self.lies: Counter[str] = Counter()
        self.honest = threading.Event()
        self._known: set[str] = set()
        self._chance, self._slow = chance, settings.push_seconds + 0.3
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        url = f"http://127.0.0.1:{self._server.server_port}/hook"
        with client(settings, system, "subscriber") as subscriber:
            self._trust = Trust(url, Subscriptions(subscriber).subscribe(contract, url, start="start", most=20)["keys"])

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    def run(self) -> None:
        serving = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        serving.start()
        self.stopping.wait()
        self._server.shutdown()
        self._server.server_close()

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes, str]:
        """The status, the answer, and the lie."""
        delivery = receive(headers, body, self._trust, time.time())
        lies = delivery.challenge is None and not self.honest.is_set()
        lies = lies and (not self.lies or self._chance.random() < 0.3)  # the first too: there may be few
        lie = self._chance.choice(LIES) if lies else ""
        self.lies += Counter([lie] if lie else [])
        if lie == "500":
            return 500, b"", lie
        for event in delivery.events:
            if event["id"] in self._known:
                self.again += 1
            else:
                self._known.add(event["id"])
                self.events.append(event)
        return (500 if lie.startswith("500") else delivery.status), delivery.answer, lie

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer, lie = receiver.take(dict(self.headers), body)
                if lie == "slow":
                    time.sleep(receiver._slow)
                if lie == "no answer":
                    return
                self.send_response(200 if lie.startswith("drops") else status)
                size = 1000 if lie.startswith("drops") else len(answer)
                if status != 204 or size:
                    self.send_header("content-length", str(size))
                with suppress(OSError):  # the gateway waits no longer
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


class Amending(Background):
    """The warning system hands in alerts, and corrects and recalls those that were acknowledged before: `acknowledged`
    are their transfers, `kinds` counts them."""

    def __init__(self, settings: Settings, chance: random.Random) -> None:
        super().__init__()
        self.acknowledged: set[str] = set()
        self.kinds: Counter[str] = Counter()
        self._settings, self._chance = settings, chance
        self._live: list[str] = []  # what `references` says of alerts that may be corrected or recalled

    def run(self) -> None:
        with client(self._settings, "canh-bao", "amending") as warning:
            while not self.stopping.is_set():
                self._one(warning)
                time.sleep(0.05)

    def _one(self, warning: Client) -> None:
        kind = self._chance.choice(["Alert", "Update", "Cancel"]) if len(self._live) > 2 else "Alert"
        root = etree.fromstring(messages.cap_alert(identifier=f"AMEND-{uuid.uuid4()}"))
        fields = {each.tag.removeprefix(CAP): each for each in root}
        fields["msgType"].text = kind
        if kind == "Alert":
            root.remove(fields["references"])
        else:
            fields["references"].text = self._live.pop(self._chance.randrange(len(self._live)))
        own = ",".join(str(fields[name].text) for name in ("sender", "identifier", "sent"))
        try:
            answer = warning.soap("incident-alert/v1", etree.tostring(root))
        except (NoConnection, Refused):  # unknown what became of it: nothing will refer to it
            self.kinds["unanswered"] += 1
            return
        assert answer.transfer is not None
        self.acknowledged.add(answer.transfer)
        self.kinds[kind] += 1
        if kind != "Cancel":
            self._live.append(own)


def standing(events: Iterable[dict[str, Any]]) -> set[str]:
    """What a reader of the whole feed holds for valid: the fold of it, by ids."""
    found: set[str] = set()
    for event in events:
        found -= set(event.get("lgspreplaces", "").split())
        if not event["type"].endswith((":recalled", ":responded")):
            found.add(event["id"])
    return found


def state(settings: Settings, contract: str) -> list[str]:
    """The ids that the feed's state gives."""
    with client(settings, "dieu-hanh", "state") as reader:
        return [event["id"] for page in reader.state(contract, 200) for event in page.events]


def text_of(event: dict[str, Any]) -> str:
    """The same text for the same event, however it came."""
    return json.dumps(event, sort_keys=True, default=str)
