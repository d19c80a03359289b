"""Connections without end: of one certificate, of one agency, of one address; and more of them than the process may
have descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.story.world import World
from gateway.keys.keyring import Keyring
from gateway.sample_client.identity import Identity
from gateway.settings import load
from security import algorithms
from security.pki import authority
from tests.attacks.conftest import PLACES
from tests.attacks.raw import head, port_of
from tests.size import FULL

pytestmark = [pytest.mark.full, pytest.mark.server]
BEYOND = 200 if FULL else 10
CALL = head("GET", "/contracts")


class Held:
    """Connections that stay open."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port, self._context = port, context
        self.told: Counter[bytes] = Counter()
        self.codes: Counter[bytes] = Counter()
        self.writers: list[asyncio.StreamWriter] = []

    async def open(self, number: int) -> None:
        for _ in range(number):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._port, ssl=self._context, server_hostname="localhost"
            )
            self.writers.append(writer)
            try:
                writer.write(CALL)
                top = await asyncio.wait_for(reader.read(4_000), 60)
            except (ConnectionError, ssl.SSLError):
                top = b""
            self.told[top[9:12]] += 1
            self.codes[top.partition(b'"code": "')[2].partition(b'"')[0]] += 1

    def close(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


@contextlib.contextmanager
def held(port: int, context: ssl.SSLContext) -> Iterator[Held]:
    made = Held(port, context)
    try:
        yield made
    finally:
        made.close()


def context_of(identity: Identity) -> ssl.SSLContext:
    return identity.client_context()


@pytest.mark.attack("limits")
async def test_connections_of_one_certificate_and_of_one_agency(narrow: World) -> None:
    """Those beyond are told 429 and closed, or closed before they could read it; those before them, and others, go
    on."""
    most, agency = PLACES["certificate_connections"], PLACES["agency_connections"]
    first, second, other = (
        narrow.identity(name) for name in ("quan-trac", "canh-bao", "bao-chay")
    )  # the first two are of one agency
    port = port_of(first)
    with (
        held(port, context_of(first)) as one,
        held(port, context_of(second)) as two,
        held(port, context_of(other)) as others,
    ):
        await one.open(most + BEYOND)
        assert one.told[b"200"] == most, (one.told, one.codes)
        await two.open(agency - most + BEYOND)
        assert two.told[b"200"] == agency - most, (two.told, two.codes)
        await others.open(3)
        assert others.told == {b"200": 3}
    async with asyncio.timeout(60):
        while True:  # places are given back
            with held(port, context_of(first)) as again:
                await again.open(1)
            if again.told[b"200"]:
                break
            await asyncio.sleep(0.1)


@pytest.mark.attack("limits")
async def test_connections_of_a_certificate_that_nobody_registered(narrow: World, tmp_path: Path) -> None:
    """It counts as its address does, whatever names it has had issued."""
    keyring = Keyring(load(narrow.data, {}))
    issuer = keyring.issuer("tls")
    context = context_of(narrow.identity("y-te"))
    contexts: list[ssl.SSLContext] = []
    for number in range(2):
        private = algorithms.new_private()
        certificate = authority.issue_tls(issuer, f"nobody-{number}", private.public_key(), time.time())
        (tmp_path / f"{number}.crt").write_bytes(certificate + issuer.pem)
        (tmp_path / f"{number}.key").write_bytes(authority.private_pem(private))
        context = Identity.load(narrow.identities / "y-te").client_context(with_certificate=False)
        context.load_cert_chain(tmp_path / f"{number}.crt", tmp_path / f"{number}.key")
        contexts.append(context)
    most = PLACES["source_connections"]
    port = port_of(narrow.identity("y-te"))
    with (
        held(port, contexts[0]) as one,
        held(port, contexts[1]) as two,
        held(port, context_of(narrow.identity("y-te"))) as known,
    ):
        await one.open(most - 2)
        await two.open(2 + BEYOND)
        assert (one.told[b"200"], two.told[b"200"]) == (most - 2, 2), (one.told, two.told)
        await known.open(1)
        assert known.told == {b"200": 1}


SERVER = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import uvloop
from gateway.doors.http import listening, server

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})

async def main():
    listener = listening.bind("127.0.0.1", 0)
    spare = [open("/dev/null") for _ in range(int(sys.argv[1]))]
    print(listener.getsockname()[1], flush=True)
    made = server.make_server(app, context=None, drain_seconds=0.0, on_drain=lambda: None)
    await made.serve_on(listener)

uvloop.run(main())
"""


@pytest.mark.attack("limits")
@pytest.mark.parametrize("taken", [0, 20], ids=["by connections", "by files of its own"])
def test_more_connections_than_descriptors(taken: int) -> None:
    """None is reset; those that are open are served on, the others as soon as there is room; and nothing spins
    meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(taken)], stdout=subprocess.PIPE, text=True)
    socks: list[socket.socket] = []
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        for _ in range(100):
            sock = socket.create_connection(("127.0.0.1", port), 60)
            socks.append(sock)
            sock.sendall(request)
        answered = _answered(socks)
        assert 8 <= len(answered) < 64
        before = _seconds(process.pid)
        time.sleep(1)
        assert _seconds(process.pid) - before < 0.5, "it spins"
        answered[0].sendall(request)
        assert _answered(answered[:1]), "a connection that was open is no longer served"
        waiting = [sock for sock in socks if sock not in answered]
        while waiting:
            for sock in answered:
                sock.close()
            answered = _answered(waiting)
            waiting = [sock for sock in waiting if sock not in answered]
    finally:
        for sock in socks:
            sock.close()
        process.kill()
        process.wait()


def _answered(socks: list[socket.socket]) -> list[socket.socket]:
    """Those that get an answer, as soon as no more come; one that is reset or closed fails, and so does it if there is
    none at all."""
    found: list[socket.socket] = []
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ, sock)
        while selector.get_map() and (ready := selector.select(0.4 if found else 60)):
            for key, _ in ready:
                assert key.data.recv(4_000).startswith(b"HTTP/1.1 200")
                selector.unregister(key.data)
                found.append(key.data)
    assert found, "nobody is served"
    return found


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
