"""The other side for the tests of the bad provider and caller: signs calls as a gateway, and answers as one.

`Answering` is a server that records what callers send and answers from a list of orders, such as "429" or "unsigned".
"""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.conformance.bad import wire
from tests.conformance.bad.soap_wire import utc_now
from tests.conformance.bad.wire import Keys


@dataclass(frozen=True, slots=True)
class Got:
    """An answer of a provider, and the fields of the call that it answers."""

    status: int
    fields: dict[str, str]
    body: bytes
    sent: dict[str, str]


def certificate(private: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate by itself, in DER: WS-Security carries one."""
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]), utc_now()
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now.replace(year=2040))
    return made.sign(private, hashes.SHA256()).public_bytes(Encoding.DER)


def two_sides(address: str = "") -> tuple[Keys, Keys]:
    """Keys of a gateway and of a system that know each other."""
    one, two = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    gateway = Keys("gw-1", one, certificate(one), {"sys-1": two.public_key()}, "gateway", address)
    return gateway, Keys("sys-1", two, certificate(two), {"gw-1": one.public_key()}, "system", address)


def post(address: str, fields: dict[str, str], body: bytes, timeout: float = 30.0) -> Got:
    """One call. Raises what `http.client` raises where no answer comes."""
    to = urlsplit(address)
    connection = http.client.HTTPConnection(to.netloc, timeout=timeout)
    try:
        connection.request("POST", to.path, body, fields)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Got(answer.status, named, answer.read(), fields)
    finally:
        connection.close()


def call_fields(keys: Keys, address: str, body: bytes, transfer: str, *, age: int = 0) -> dict[str, str]:
    """The fields of a call to a provider: signed `age` seconds ago."""
    fields = {
        "content-type": "application/json",
        "content-digest": wire.digest(body),
        "idempotency-key": f'"{transfer}"',
        "lgsp-transfer": transfer,
        "lgsp-caller": "H14.5/phan-anh",
    }
    created, nonce = int(time.time()) - age, secrets.token_urlsafe(18)
    return fields | wire.sign_request(keys, "POST", address, fields, created=created, nonce=nonce)


@dataclass(slots=True)
class Answering:
    """What callers sent (fields in lower case, and body), and what they get next. Without an order: 200, signed."""

    keys: Keys
    orders: list[str] = field(default_factory=list)
    came: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)  # method, path, fields, body

    def answer(self, fields: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        order = self.orders.pop(0) if self.orders else "ok"
        status = int(order) if order.isdigit() else 200
        body = json.dumps({"order": order}).encode()
        given = {"content-type": "application/json", "content-digest": wire.digest(body), "lgsp-transfer": "t-1"}
        keys = self.keys
        if order == "other-key":
            keys = replace(keys, private=ec.generate_private_key(ec.SECP256R1()))
        if order != "unsigned":
            given |= wire.sign_answer(keys, status, given, fields, created=int(time.time()))
        if status in {409, 429, 503}:
            given["retry-after"] = "7"
        return status, given, body.replace(b"wrong", b"wrOng") if order == "wrong-digest" else body


@contextmanager
def answering(*orders: str) -> Iterator[tuple[Answering, Keys]]:
    """A server on loopback that answers callers, and the keys of one system."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            fields = {name.lower(): value for name, value in self.headers.items()}
            if self.path == "/oauth/token":
                given: tuple[int, dict[str, str], bytes] = 200, {}, b'{"access_token": "abc", "expires_in": 600}'
            else:
                state.came.append((self.command, self.path, fields, body))
                given = state.answer(fields)
            self.send_response(given[0])
            for name, value in {**given[1], "content-length": str(len(given[2]))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(given[2])

        do_GET = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ours, theirs = two_sides(f"http://127.0.0.1:{server.server_address[1]}")
    state = Answering(ours, list(orders))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state, theirs
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
