"""A receiver of webhooks that lies: it sometimes says no to what it took, and sometimes takes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from gateway.client import Client, Identity
from gateway.client.webhooks import Subscriptions, Trust, receive
from gateway.settings import Settings
from tests.faults.load import until


class Receiver:
    """`events`: ids in the order in which they were first taken. `again`: how many came a second time."""

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self.again = 0
        self.trust: Trust | None = None
        self.dice = Random(7)
        self._taking = threading.Lock()

    def wait(self, more: int) -> None:
        """Until so many more events came."""
        goal = len(self.events) + more
        until(f"{more} events at the receiver", lambda: len(self.events) >= goal)

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        with self._taking:
            if self.trust is None:
                return 503, b""
            delivery = receive(headers, body, self.trust, time.time())
            fate = self.dice.random() if delivery.events else 1.0
            if fate < 0.1:
                return 503, b""
            for event in delivery.events:
                if event["id"] in self.events:
                    self.again += 1
                else:
                    self.events[event["id"]] = int(event["sequence"])
            return (503, b"") if fate < 0.2 else (delivery.status, delivery.answer)


@contextmanager
def following(settings: Settings, system: str, feed: str) -> Iterator[Receiver]:
    """A subscription of a system to a feed from now on, and its receiver on this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = receiver.take(dict(self.headers.items()), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    with Client(Identity.load(settings.identities / system)) as client:
        subscriptions = Subscriptions(client)
        made = subscriptions.subscribe(feed, url, most=20)
        receiver.trust = Trust(url, made["keys"])
        try:
            yield receiver
        finally:
            subscriptions.end(made["id"])
            server.shutdown()
            server.server_close()
