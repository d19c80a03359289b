"""Requests that two readers could take for two things, and heads that are too long: refused before anything is read of
them (RFC 9112)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from examples.story.world import World
from gateway.doors.http import peer_protocol
from gateway.doors.http.body import Gone, read_body
from gateway.doors.http.framing import HEAD_BYTES
from tests.attacks.conftest import Judge
from tests.attacks.raw import Told, ask, head
from tests.attacks.serving import served
from tests.attacks.test_attack_slow import FOR_EVER

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
IDLE = 0.2  # seconds after which no further answer is expected
WHOLE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"


async def app(scope: Any, receive: Any, send: Any) -> None:
    try:
        body = await read_body(receive, {}, limit=10_000_000, seconds=FOR_EVER)
    except Gone:
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(peer_protocol, "_FAREWELL_SECONDS", 0.05)
    async with served(app) as port:
        yield port


async def answers(port: int, *pieces: bytes, wanted: int = 1) -> list[Told]:
    """All that is told to somebody who sends this and waits until the connection is closed, or idle after as many
    answers as are `wanted`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    hearing = asyncio.create_task(
        _heard(reader, wanted)
    )  # while sending: what was told is lost where the connection is reset before it is read
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.001 if len(pieces) > 1 else 0)
        return await hearing
    finally:
        writer.close()


async def _heard(reader: asyncio.StreamReader, wanted: int) -> list[Told]:
    found: list[Told] = []
    try:
        while True:
            top = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE if len(found) >= wanted else FOR_EVER)
            first, *lines = top.decode().rstrip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            found.append(Told(int(first.split()[1]), headers, body))
            if headers.get("connection") == "close":
                assert await asyncio.wait_for(reader.read(), FOR_EVER) == b"", (
                    "more than one answer to what cannot be read"
                )
                return found
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        return found


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((line, *(fields or (b"Host: x",)), b"", body))


BAD = {
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/0.9 with fields": b"GET /\r\nHost: x\r\n\r\n",
    "no version": b"GET / \r\nHost: x\r\n\r\n",
    "HTTP/2.0": request(b"GET / HTTP/2.0"),
    "HTTP/1.2": request(b"GET / HTTP/1.2"),
    "HTTP/0.9 by name": request(b"GET / HTTP/0.9"),
    "HTTP/1.10": request(b"GET / HTTP/1.10"),
    "http in small letters": request(b"GET / http/1.1"),
    "two spaces": request(b"GET  / HTTP/1.1"),
    "a tab": request(b"GET\t/ HTTP/1.1"),
    "a space behind": request(b"GET / HTTP/1.1 "),
    "a space in the address": request(b"GET /a b HTTP/1.1"),
    "a fragment": request(b"GET /a#b HTTP/1.1"),
    "no host": request(b"GET / HTTP/1.1", b"X: y"),
    "two hosts": request(b"GET / HTTP/1.1", b"Host: x", b"Host: y"),
    "two hosts alike": request(b"GET / HTTP/1.1", b"Host: x", b"host: x"),
    "two hosts in one": request(b"GET / HTTP/1.1", b"Host: x, y"),
    "a host with a path": request(b"GET / HTTP/1.1", b"Host: x/y"),
    "a host with a name": request(b"GET / HTTP/1.1", b"Host: a@x"),
    "another host in the address": request(b"GET http://y/ HTTP/1.1"),
    "no address": request(b"GET x HTTP/1.1"),
    "a folded line": request(b"GET / HTTP/1.1", b"Host: x", b"X: a", b" b"),
    "a folded host": request(b"GET / HTTP/1.1", b"Host:", b" x"),
    "a space before the colon": request(b"GET / HTTP/1.1", b"Host : x"),
    "a space before the first field": request(b"GET / HTTP/1.1", b" Host: x"),
    "no colon": request(b"GET / HTTP/1.1", b"Host: x", b"X"),
    "no name": request(b"GET / HTTP/1.1", b"Host: x", b": y"),
    "a name in brackets": request(b"GET / HTTP/1.1", b"Host: x", b"(X): y"),
    "NUL": request(b"GET / HTTP/1.1", b"Host: x", b"X: a\0b"),
    "bare CR": request(b"GET / HTTP/1.1", b"Host: x", b"X: a\rb"),
    "bare LF": request(b"GET / HTTP/1.1", b"Host: x", b"X: a\nY: b"),
    "lines of LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "DEL": request(b"GET / HTTP/1.1", b"Host: x", b"X: a\x7fb"),
    "length and chunks": request(
        b"POST / HTTP/1.1", b"Host: x", b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "a length with a sign": request(b"POST / HTTP/1.1", b"Host: x", b"Content-Length: +2", body=b"ab"),
    "a length with zeros": request(b"POST / HTTP/1.1", b"Host: x", b"Content-Length: 02", body=b"ab"),
    "a list of lengths": request(b"POST / HTTP/1.1", b"Host: x", b"Content-Length: 2, 2", body=b"ab"),
    "two lengths": request(b"POST / HTTP/1.1", b"Host: x", b"Content-Length: 2", b"Content-Length: 2", body=b"ab"),
    "an empty length": request(b"POST / HTTP/1.1", b"Host: x", b"Content-Length:", body=b"ab"),
    "a length in words": request(b"POST / HTTP/1.1", b"Host: x", b"Content-Length: 0x2", body=b"ab"),
    "a length beyond all": request(b"POST / HTTP/1.1", b"Host: x", b"Content-Length: " + b"9" * 30),
    "chunks in HTTP/1.0": request(b"POST / HTTP/1.0", b"Host: x", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunked twice": request(b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "chunked in two fields": request(
        b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "chunked, then gzip": request(
        b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"
    ),
    "a coding of nothing": request(b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding:", body=b"0\r\n\r\n"),
    "a coding behind a vertical tab": request(
        b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"
    ),
    "chunked with a parameter": request(
        b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked;a=b", body=b"0\r\n\r\n"
    ),
}
UNKNOWN = {
    "gzip": request(b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "identity": request(b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: identity, chunked", body=b"0\r\n\r\n"),
    "a coding in quotes": request(
        b"POST / HTTP/1.1", b"Host: x", b'Transfer-Encoding: "x", chunked', body=b"0\r\n\r\n"
    ),
}


@pytest.mark.attack("request smuggling")
async def test_what_can_be_read_in_two_ways(port: int) -> None:
    """Also right behind a good one, and in pieces. What comes behind it is not taken for a request. All at once, since
    each takes its time to end."""

    async def one(name: str) -> None:
        for pieces in ((BAD[name] + WHOLE,), tuple(BAD[name][at : at + 7] for at in range(0, len(BAD[name]), 7))):
            told = await answers(port, *pieces)
            assert [each.status for each in told] == [400], (name, told)
            assert (
                told[0].code in ("http.malformed", "request.header-twice") and told[0].headers["connection"] == "close"
            ), (name, told)
        told = await answers(port, WHOLE + BAD[name] + WHOLE, wanted=2)
        assert [each.status for each in told] == [200, 400], (name, told)

    await asyncio.gather(*map(one, BAD))


@pytest.mark.attack("request smuggling")
async def test_codings_that_nobody_here_knows(port: int) -> None:
    for raw in UNKNOWN.values():
        (told,) = await answers(port, raw + WHOLE)
        assert told.status == 501 and told.code == "http.transfer-coding" and told.headers["connection"] == "close"


CHUNKS = [
    b"+2\r\nab\r\n0\r\n\r\n",
    b"-2\r\nab\r\n0\r\n\r\n",
    b"0x2\r\nab\r\n0\r\n\r\n",
    b" 2\r\nab\r\n0\r\n\r\n",
    b"2 \r\nab\r\n0\r\n\r\n",
    b"\r\nab\r\n0\r\n\r\n",
    b"2\nab\r\n0\r\n\r\n",
    b"2\rab\r\n0\r\n\r\n",
    b"g\r\nab\r\n0\r\n\r\n",
    b"2\r\nabc\r\n0\r\n\r\n",
    b"2\r\nab0\r\n\r\n",
    b"2\r\nab\n0\r\n\r\n",
    b"ffffffffffffffff2\r\nab\r\n0\r\n\r\n",
    b"2;a\0b\r\nab\r\n0\r\n\r\n",
    b"2;a\nb\r\nab\r\n0\r\n\r\n",
    b"2;" + b"a" * 100_000,
    b"2\r\nab\r\n0\r\nX : y\r\n\r\n",
    b"2\r\nab\r\n0\r\nX: a\nb\r\n\r\n",
    b"2\r\nab\r\n0\r\n folded\r\n\r\n",
    b"2\r\nab\r\n0\r\n" + b"X: y\r\n" * 20_000,
    b"".join(b"1;%s\r\na\r\n" % (b"x" * 200) for _ in range(2_000)),
]


@pytest.mark.attack("request smuggling")
async def test_chunks_that_can_be_read_in_two_ways(port: int) -> None:
    """The request is in hand by then: it is not answered as if it were whole, and nothing behind it is read."""

    async def one(chunks: bytes) -> None:
        for pieces in ((CHUNKED + chunks + WHOLE,), (CHUNKED, chunks, WHOLE)):
            told = await answers(port, *pieces)
            assert not told or (told[0].status >= 400 and len(told) == 1), (chunks[:40], told)

    await asyncio.gather(*map(one, CHUNKS))


async def test_what_must_be_taken(port: int) -> None:
    for raw, body in (
        (WHOLE, b"ab"),
        (b"\r\n" + WHOLE, b"ab"),
        (request(b"GET /?a=%20 HTTP/1.1", b"host:x:80"), b""),
        (request(b"GET http://x/a HTTP/1.1"), b""),
        (request(b"GET / HTTP/1.1", b"Host: [::1]:80", b"X: \xe9\t y ", b"Y:"), b""),
        (
            request(
                b"POST / HTTP/1.1",
                b"Host: x",
                b"Transfer-Encoding: Chunked",
                body=b'2;a="b c"\r\nab\r\n0000\r\nT: u\r\n\r\n',
            ),
            b"ab",
        ),
        (request(b"POST / HTTP/1.1", b"Host: x", b"Content-Length:   2  ", body=b"ab"), b"ab"),
    ):
        for pieces in ((raw,), tuple(raw[at : at + 3] for at in range(0, len(raw), 3))):
            (told,) = await answers(port, *pieces)
            assert (told.status, told.body) == (200, body), raw
        assert [told.body for told in await answers(port, raw * 3, wanted=3)] == [body] * 3, raw
    (old,) = await answers(port, request(b"GET / HTTP/1.0", b"X: y"))
    assert old.status == 200


def sized(size: int) -> bytes:
    """A head of exactly so many bytes."""
    bare = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    return bare[:-2] + b"X: " + b"a" * (size - len(bare) - 5) + b"\r\n\r\n"


@pytest.mark.attack("limits")
async def test_a_head_is_as_long_as_may_be_and_no_byte_longer(port: int) -> None:
    assert len(sized(HEAD_BYTES)) == HEAD_BYTES
    for before in (b"", WHOLE):
        for size, status in ((HEAD_BYTES, 200), (HEAD_BYTES + 1, 431), (100_000, 431), (1_000_000, 431)):
            whole = before + sized(size)
            for pieces in ((whole,), tuple(whole[at : at + 50_000] for at in range(0, len(whole), 50_000))):
                wanted = 2 if before else 1
                told = await answers(port, *pieces, wanted=wanted)
                assert len(told) == wanted and told[-1].status == status, (size, len(pieces), told)
                assert (
                    status == 200
                    or told[-1].code == "http.head-too-large"
                    and told[-1].headers["connection"] == "close"
                )


@pytest.mark.server
@pytest.mark.attack("limits")
@pytest.mark.parametrize(
    "target", ["/contracts", "/healthz", "/incident-alert/v1/alerts", "/soap/incident-alert/v1", "/oauth/token"]
)
def test_a_long_head_wherever_it_goes(world: World, judge: Judge, target: str) -> None:
    """The limit is the server's own: it knows no paths. Each is in the log with whose it was, and told in the protocol
    of its address."""
    told = ask(world.identity("bao-chay"), head("GET", target, [("x", "a" * 70_000)]))
    judge.refused(told, "http.head-too-large", 500 if target.startswith("/soap/") else 431)


@pytest.mark.server
@pytest.mark.attack("HTTP misused")
def test_what_is_no_request_is_in_the_log(world: World, judge: Judge) -> None:
    identity = world.identity("bao-chay")
    judge.refused(ask(identity, b"GET /contracts\r\n\r\n"), "http.malformed", 400)
    judge.refused(ask(identity, head("GET", "/contracts", [("Host", "y")])), "request.header-twice", 400)
    judge.refused(ask(identity, head("GET", "/contracts", host=None)), "http.malformed", 400)
