"""The example client before a hostile gateway: published keys that are none, and bytes on the wire that are no answer,
end in its own error with words."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from gateway.sample_client import keyset
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sample_client.transport import MOST_BYTES, RawAnswer, Transport
from tests.attacks import parties
from tests.attacks.absurd import JSONS, only_its_own

province, me, gateway = parties.province, parties.me, parties.gateway  # fixtures


@pytest.mark.attack("a hostile gateway")
def test_published_keys_that_are_none_are_no_keys(me: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "_AGAIN", 0.0)
    pem = (me.folder / "sign.crt").read_text()
    odd: list[Any] = [
        None,
        1,
        "",
        "ấ",
        [],
        {},
        pem,
        pem[:-40],
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ]
    bodies = [
        *JSONS,
        *(
            json.dumps({"sign": made}).encode()
            for value in odd
            for made in (
                value,
                [value],
                [{"id": value, "certificate": pem, "chain": []}],
                [{"id": "x", "certificate": value, "chain": []}],
                [{"id": "x", "certificate": pem, "chain": value}],
                [{"id": "x", "certificate": pem, "chain": [value]}],
            )
        ),
    ]
    for body in bodies:
        monkeypatch.setattr(Transport, "send", lambda self, *_, body=body: RawAnswer(200, {}, body))
        assert me.keys.by_id("unknown") == () and me.keys.by_thumbprint(b"x") is None


WIRES: Final = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-x\r\n",
    "half a status": b"HTTP/1.1 2",
    "a status that is none": b"HTTP/1.1 \xc2\xb2\xc2\xb2\xc2\xb2 x\r\n\r\n",
    "a status of 5,000 digits": b"HTTP/1.1 " + b"2" * 5_000 + b" x\r\n\r\n",
    "a length beyond memory": b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 30 + b"\r\n\r\nx",
    "a length of a terabyte": b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\nx",
    "a length of 5,000 digits": b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5_000 + b"\r\n\r\nx",
    "a length that is none": b"HTTP/1.1 200 OK\r\ncontent-length: \xb2\r\n\r\nx",
    "chunks that are none": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nx",
    "a chunk beyond memory": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\nx",
    "a chunk of less than nothing": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nx",
    "headers outside ASCII": b"HTTP/1.1 200 OK\r\nx-\xff: \xff\xfe\r\ncontent-length: 0\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    "a long header": b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000 + b"\r\n\r\n",
    "more than is read": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000,
    "less than was promised": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx",
}


@pytest.fixture(scope="module")
def wire(gateway: Identity) -> Iterator[Callable[[bytes], str]]:
    """Answers each connection with the bytes that were set last, whatever is asked."""
    context = gateway.server_context()
    context.verify_mode = ssl.CERT_NONE
    listener = socket.create_server(("127.0.0.1", 0))
    said = [b""]

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65_536)
                    connection.sendall(said[0])
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def say(raw: bytes) -> str:
        said[0] = raw
        return f"https://localhost:{listener.getsockname()[1]}"

    yield say
    listener.close()


@pytest.mark.attack("a hostile gateway")
@pytest.mark.parametrize("name", WIRES)
def test_what_is_no_answer_over_the_wire_ends_in_the_clients_own_error(
    me: Identity, wire: Callable[[bytes], str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sample_client.transport.MOST_BYTES", 1_000_000)
    transport = Transport(wire(WIRES[name]), me.client_context(), 20.0)
    refused = only_its_own(lambda: transport.send("GET", "/", {}, b""), name)
    assert refused == (name not in ("headers outside ASCII", "a length that is none", "a length of 5,000 digits"))
    assert MOST_BYTES >= 10_000_000


@pytest.mark.attack("a hostile gateway")
@pytest.mark.parametrize("token", ["a\r\nb", "ấ", "", "a b", "x" * 100_000])
def test_a_token_that_no_header_can_hold_is_refused(me: Identity, token: str) -> None:
    raw = RawAnswer(200, {}, json.dumps({"access_token": token, "expires_in": 600}).encode())
    assert only_its_own(lambda: RestClient(me).keep_token(raw), token[:20])
