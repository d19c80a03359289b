"""The centre's consumer, written from docs/integrate.md, docs/wire.md and docs/client.md alone.

It follows three feeds, each its own way, keeps the events in a file, and compares them with the sealed digests:

    python examples/centre_consumer.py --identity lgsp-data/identities/dieu-hanh --store centre.db \
        --pull dossier-status/v1 --stream incident-alert/v1 --webhook field-report/v1 --url https://centre.example/hook

It listens on the loopback, behind a proxy with TLS (none in a sandbox). Each comparison is a line of JSON. It may be
killed at any moment, and goes on when it is started again.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

from gateway.client import Client, Digesting, Identity, NoConnection, NotProven, RefusedOurs
from gateway.client.webhooks import Subscriptions, Trust, receive

LARGEST = 100_000_000  # bytes of a delivery


class Store:
    """Events and cursors. Both are kept in one transaction: after a stop each reader goes on where its events end."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._base = sqlite3.connect(path, check_same_thread=False)
        for table in ("event (feed, id, content, PRIMARY KEY (feed, id))", "cursor (feed PRIMARY KEY, cursor)"):
            self._base.execute(f"CREATE TABLE IF NOT EXISTS {table}")

    def keep(self, feed: str, events: Iterable[dict[str, Any]], cursor: str | None = None) -> None:
        """An event that is kept already is dropped, by its `id`: a webhook comes at least once."""
        rows = [(feed, event["id"], json.dumps(event, default=str)) for event in events]  # a Decimal with its digits
        with self._lock, self._base:
            self._base.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?)", rows)
            if cursor is not None:
                self._base.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?)", (feed, cursor))

    def cursor(self, feed: str) -> str | None:
        with self._lock:
            found = self._base.execute("SELECT cursor FROM cursor WHERE feed = ?", (feed,)).fetchone()
        return None if found is None else str(found[0])

    def events(self, feed: str) -> list[dict[str, Any]]:
        with self._lock:
            found = self._base.execute("SELECT content FROM event WHERE feed = ?", (feed,))
            return [json.loads(content) for (content,) in found]


def pull(client: Client, store: Store, feed: str) -> None:
    """Page by page; it waits for what comes (long poll)."""
    for page in client.pages(feed, store.cursor(feed), wait=20):
        store.keep(feed, page.events, page.next)


def stream(client: Client, store: Store, feed: str) -> None:
    """Event by event; the kit connects again by itself."""
    for cursor, event in client.stream(feed, store.cursor(feed)):
        store.keep(feed, [event], cursor)


class Hook(BaseHTTPRequestHandler):
    """Takes webhooks: the events of a proven delivery are kept before it is answered."""

    keep: Callable[[Iterable[dict[str, Any]]], None]
    trust: Trust | None = None  # until we have subscribed
    timeout = 30

    def do_POST(self) -> None:
        size, status, answer = self.headers.get("content-length", ""), 503, b""
        if self.trust is not None and size.isdecimal() and int(size) <= LARGEST:
            try:
                delivery = receive(dict(self.headers), self.rfile.read(int(size)), self.trust, time.time())
                type(self).keep(delivery.events)
                status, answer = delivery.status, delivery.answer
            except NotProven:
                status = 401
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """The comparisons are all that is printed."""


def subscribed(client: Client, feed: str, url: str) -> None:
    """The same wish again gives the subscription that stands, with its keys of now."""
    while True:
        found = Subscriptions(client).subscribe(feed, url, start="start")
        Hook.trust = Trust(found["url"], found["keys"])
        time.sleep(3600)


def compare(client: Client, store: Store, feeds: Iterable[str], seconds: float) -> None:
    """Holds the events against the sealed periods: nothing is `wrong` for a reader that has caught up."""
    while True:
        for feed in feeds:
            sealed, events, digesting = client.digests(feed), store.events(feed), Digesting()
            for event in events:
                digesting.add(event)
            found = digesting.compare(sealed)
            line = {"feed": feed, "events": len(events), "sealed": found.events, "unsealed": found.unsealed}
            print(json.dumps(line | {"wrong": found.wrong}), flush=True)
        time.sleep(seconds)


def going_on(ended: Queue[Exception], work: Callable[..., None], *given: Any) -> None:
    """Begins again while the gateway is away. What a person must mend ends the consumer: no grant, another log."""
    while True:
        try:
            work(*given)
        except (NoConnection, NotProven, RefusedOurs) as away:
            time.sleep(getattr(away, "retry_after", None) or 1.0)
        except Exception as final:
            return ended.put(final)


def main() -> None:
    words = argparse.ArgumentParser(description="Follow three feeds, and prove that nothing is missing.")
    for name in ("identity", "store", "pull", "stream", "webhook", "url"):
        words.add_argument(f"--{name}", required=True)
    words.add_argument("--port", type=int, default=8440, help="where it listens for webhooks")
    words.add_argument("--every", type=float, default=3600.0, help="seconds between two comparisons")
    given = words.parse_args()
    store, client, ended = Store(given.store), Client(Identity.load(given.identity)), Queue[Exception]()
    Hook.keep = lambda events: store.keep(given.webhook, events)
    for way in (
        (ThreadingHTTPServer(("127.0.0.1", given.port), Hook).serve_forever,),
        (going_on, ended, pull, client, store, given.pull),
        (going_on, ended, stream, client, store, given.stream),
        (going_on, ended, subscribed, client, given.webhook, given.url),
        (going_on, ended, compare, client, store, (given.pull, given.stream, given.webhook), given.every),
    ):
        threading.Thread(target=way[0], args=way[1:], daemon=True).start()
    raise SystemExit(f"{ended.get()}")


if __name__ == "__main__":
    main()
