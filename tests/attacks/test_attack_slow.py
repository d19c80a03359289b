"""Connections that are held open by next to nothing: each step of a request has its time, and then the connection
ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.base.errors import Theirs
from gateway.doors.http import peer_protocol
from gateway.doors.http.body import LATE, Gone, read_body
from tests.attacks.serving import served

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
ALLOWED = 1.0
FOR_EVER = 60.0
BODY = {"seconds": 5.0}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads small bodies; refuses large ones without reading them."""
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    status = 200
    if int(headers.get("content-length", "0")) > 1_000:
        status = 413
    else:
        try:
            await read_body(receive, headers, limit=1_000, seconds=BODY["seconds"])
        except Gone:
            return
        except Theirs as late:
            status = late.status
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-length", b"0"),
                *([(b"connection", b"close")] if status == LATE else []),
                *[pair for pair in scope["headers"] if pair[0].startswith(b"x-")],
            ],
        }
    )
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(peer_protocol, "HEAD_SECONDS", ALLOWED)
    async with served(app) as port:
        yield port


async def held(port: int, first: bytes, drip: bytes) -> tuple[float, bytes]:
    """How long a connection was held by dripping bytes until it was ended, and what it was told. Nobody ends it: it
    would last for ever."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    told = b""
    while True:
        assert time.monotonic() - began < FOR_EVER
        try:
            part = await asyncio.wait_for(reader.read(1_000), ALLOWED / 8)
            if not part:
                break
            told += part
        except TimeoutError:
            writer.write(drip)
        except ConnectionError:
            break
    writer.close()
    return time.monotonic() - began, told


@pytest.mark.attack("limits")
@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (b"", b"\r\n"),
        (b"GET /", b"a"),
        (HEAD, b"x: y\r\n"),
        (HEAD + b"x: ", b"y"),
    ],
)
async def test_a_head_that_does_not_come(port: int, first: bytes, drip: bytes) -> None:
    seconds, told = await held(port, first, drip)
    assert seconds >= ALLOWED and not told


@pytest.mark.attack("limits")
@pytest.mark.parametrize("drip", [b"\r\n", b"GET", b"POST / HTTP/1.1\r\n"])
async def test_the_head_of_a_second_request(port: int, drip: bytes) -> None:
    _, told = await held(port, HEAD + b"\r\n", drip)
    assert told.startswith(b"HTTP/1.1 200 ")


@pytest.mark.attack("limits")
async def test_what_is_left_of_a_refused_body(port: int) -> None:
    _, told = await held(port, HEAD + b"content-length: 100000\r\n\r\n", b"x")
    assert told.startswith(b"HTTP/1.1 413 ")


@pytest.mark.attack("limits")
@pytest.mark.parametrize("drip", [b"", b"x"])
async def test_a_body_that_does_not_come(port: int, drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of which not a byte comes."""
    monkeypatch.setitem(BODY, "seconds", ALLOWED)
    _, told = await held(port, HEAD + b"content-length: 900\r\n\r\n", drip)
    assert told.startswith(b"HTTP/1.1 408 ")


@pytest.mark.full
async def test_who_is_just_slow_is_served(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head comes in pieces, well within its time; the body may take longer than a head."""
    allowed = 3 * ALLOWED
    monkeypatch.setattr(peer_protocol, "HEAD_SECONDS", allowed)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        for piece, pause in (
            (HEAD, 0.05),
            (b"content-length: 2\r\n", 0.05),
            (b"\r\n", 0.05),
            (b"a", 1.2 * allowed),
            (b"b", 0.0),
        ):
            writer.write(piece)
            await asyncio.sleep(pause)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_trailers_are_not_headers(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-evil: 1\r\n\r\n")
    assert b"x-evil" not in await reader.readuntil(b"\r\n\r\n")
    writer.close()
