"""Eight connections of one registered agency that send whatever costs most, in a process of their own: `python -m
tests.attacks.hostile IDENTITIES MEGABYTES BODY_SECONDS`.

`go` and `rest` on standard input start and stop them, `count` asks how many answers came; at its end each answer is
told on standard output, one JSON line each. The process is nice: in the world a hostile system does not share the
gateway's processors, so what it costs itself must not count.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lxml import etree

from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sandbox.standins import messages
from tests.attacks.raw import Told, answer, connect, head, of, read_one

CONNECTIONS = 8
ALERTS = "/incident-alert/v1/alerts"
JSON = ("content-type", "application/json")
ENCRYPTED = "/dossier-status/v1/statuses"


def json_bodies(size: int) -> dict[str, bytes]:
    """Each of about `size` bytes, but for those that are costly within a small limit."""
    return {
        "unterminated string": b"," * 500_001 + b'"' + b'\\"' * (size // 20),
        "unterminated string in an object": b'{"identifier":"' + b'\\"' * (size // 2),
        "1e999": b'{"info":[' + b",".join([b"1e999"] * (size // 6 - 10)) + b"]}",
        "unknown fields": ("{" + ",".join(f'"k{number}":1' for number in range(size // 12)) + "}").encode(),
        "unknown fields that are null": (
            "{" + ",".join(f'"k{number}":null' for number in range(size // 14)) + "}"
        ).encode(),
        "empty items": b'{"info":[' + b",".join([b"{}"] * (size // 12)) + b"]}",
        "deep": b'{"info":' + b"[" * (size // 2) + b"]" * (size // 2) + b"}",
        "names alike": ("{" + ",".join(f'"{"k" * 40}{number}":[]' for number in range(size // 50)) + "}").encode(),
        "just not large": b'{"info":[' + b",".join([b"1e999"] * (65_000 // 6)) + b"]}",
        "small": b'{"info":[' + b",".join([b"1e999"] * (8_000 // 6)) + b"]}",
    }


def attributes(size: int) -> bytes:
    """An alert with very many attributes, each of a namespace of its own, on very many elements."""
    each = "".join(f' xmlns:n{number}="urn:n:{number}" n{number}:a="1"' for number in range(40))
    inner = "".join(f"<cap:info{each}/>" for _ in range(max(1, size // len(each))))
    return f'<cap:alert xmlns:cap="{messages.CAP}">{inner}</cap:alert>'.encode()


class Unconnected(Exception):
    """This process is so slow that the door no longer waits for its handshake, or for it to read an answer."""


def connected(identity: Identity) -> ssl.SSLSocket:
    try:
        return connect(identity)
    except OSError as trouble:
        raise Unconnected from trouble


def ask(identity: Identity, data: bytes, seconds: float) -> Told | None:
    """`seconds`: how long the door waits for a body. Then it answers, and ends the connection, read or not."""
    with connected(identity) as sock:
        began = time.monotonic()
        try:
            told = answer(sock, data)
        except OSError:
            if time.monotonic() - began >= seconds:
                raise Unconnected from None
            raise
        if told is None and time.monotonic() - began >= seconds:
            raise Unconnected
        return told


class Hostile:
    """What the connections share."""

    def __init__(self, identities: Path, size: int, body_seconds: float) -> None:
        self.body_seconds = body_seconds  # how long the door waits for a body
        self.one, self.other = Identity.load(identities / "quan-trac"), Identity.load(identities / "canh-bao")
        self.rest, self.soap = RestClient(self.one), SoapClient(self.other)
        self.rest.token()
        self.bodies = json_bodies(size)
        self.size = size
        self.going = threading.Event()
        self.ended = threading.Event()
        self.told: list[tuple[str, str, int, str]] = []
        root = etree.fromstring(attributes(size))
        envelope = self.soap.prepare("incident-alert/v1", "submitAlert", root)
        self.envelope = envelope.request
        self.works: Sequence[tuple[str, Callable[[], Told | None]]] = [
            *((name, partial(self.json, body)) for name, body in self.bodies.items()),
            ("envelope of attributes", lambda: ask(self.other, of(self.envelope), self.body_seconds)),
            ("encrypted junk", lambda: self.json(b"e30." * (size // 4), ENCRYPTED, content_type="application/jose")),
            ("head without body", lambda: self.slow(b"")),
            ("drip", lambda: self.slow(b" ")),
        ]

    def json(self, body: bytes, path: str = ALERTS, content_type: str = "application/json") -> Told | None:
        data = of(self.rest.prepare("POST", path, body, content_type=content_type))
        return ask(self.one, data, self.body_seconds)

    def slow(self, drip: bytes) -> Told | None:
        with connected(self.one) as sock:
            sock.sendall(head("POST", ALERTS, [JSON, ("content-length", str(self.size))]))
            sock.settimeout(0.2)
            data, looked = b"", time.monotonic()
            while not data.endswith(b"}"):
                if time.monotonic() - looked >= self.body_seconds:  # this process stood still: it may be told no more
                    raise Unconnected
                looked = time.monotonic()
                try:
                    part = sock.recv(65_536)
                    data += part
                    if not part:
                        break
                except TimeoutError:
                    with contextlib.suppress(OSError):
                        sock.sendall(drip)
            return read_one(sock, data)[0]

    def connection(self, number: int) -> None:
        at = number * 3
        while not self.ended.is_set():
            if not self.going.wait(0.1):
                continue
            name, work = self.works[at % len(self.works)]
            at += 1
            try:
                told = work()
            except Unconnected:
                continue
            except OSError as trouble:
                self.told.append((name, type(trouble).__name__, 0, ""))
                continue
            self.told.append((name, told.code, told.status, told.transfer) if told is not None else (name, "", 0, ""))


def main(identities: str, megabytes: str, body_seconds: str) -> None:
    os.nice(15)
    hostile = Hostile(Path(identities), int(float(megabytes) * 1_000_000), float(body_seconds))
    threads = [threading.Thread(target=hostile.connection, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for line in sys.stdin:
        if (word := line.strip()) == "go":
            hostile.going.set()
        elif word == "rest":
            hostile.going.clear()
        else:
            print(len(hostile.told), flush=True)
    hostile.ended.set()
    until = time.monotonic() + 60
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    for each in hostile.told:
        print(json.dumps(each), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
