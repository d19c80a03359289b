"""An answer that is written at once is, to the byte, what uvicorn would have written."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.doors.server import DrainingServer, answer_at_once, bind, make_server

BODIES = {"/empty": b"", "/short": b"ok", "/ends": b"x\r\n\r\n", "/long": b"y" * 200_000}
HEADERS = {"content-type": "text/plain", "lgsp-checkpoint": ":" + "c" * 400 + ":"}


class App:
    """`/quick/…` by one write, `/plain/…` by uvicorn's two messages; what `answer_at_once` said of each."""

    def __init__(self) -> None:
        self.said: list[bool] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        _, way, name = scope["path"].split("/", 2)
        headers = dict(HEADERS)
        if name == "close":
            headers["connection"] = "close"
        if name == "break":
            headers["x"] = "a\r\nb: c"
        body = BODIES.get(f"/{name}", b"?")
        if way == "quick":
            self.said.append(answer_at_once(send, 200, headers, body))
            if self.said[-1]:
                return
        fields = [(key.encode(), value.encode()) for key, value in headers.items()] + [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body})


@pytest_asyncio.fixture
async def served() -> AsyncIterator[tuple[App, int]]:
    app = App()
    listener: socket.socket = bind("127.0.0.1", 0)
    server: DrainingServer = make_server(app, context=None, drain_seconds=0.0, on_drain=lambda: None, answer_seconds=1)
    task = asyncio.create_task(server.serve_on(listener))
    yield app, listener.getsockname()[1]
    server.stop()
    await task
    listener.close()


async def spoken(port: int, sent: bytes) -> bytes:
    """All that comes back before the server hangs up, which the last request asks for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    got = await asyncio.wait_for(reader.read(-1), 10)
    writer.close()
    return re.sub(rb"date: [^\r]+", b"date: -", got)


def get(path: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: x", *lines, "", ""]).encode()


@pytest.mark.parametrize("names", [["short"], ["empty", "short"], ["ends", "empty", "ends"], ["long", "short", "long"]])
async def test_the_same_bytes(names: list[str], served: tuple[App, int]) -> None:
    """Requests one after the other on one connection, all sent at once."""
    app, port = served
    last = get("/plain/short", "connection: close")
    quick = await spoken(port, b"".join(get(f"/quick/{name}") for name in names) + last)
    plain = await spoken(port, b"".join(get(f"/plain/{name}") for name in names) + last)
    assert quick == plain and app.said == [True] * len(names)


async def test_anything_unusual_is_left_to_uvicorn(served: tuple[App, int]) -> None:
    app, port = served
    for first in (get("/quick/short", method="HEAD"), get("/quick/close"), get("/quick/short", "connection: close")):
        same = first.replace(b"/quick/", b"/plain/")
        ends = b"" if b"close" in first else get("/plain/short", "connection: close")
        assert await spoken(port, first + ends) == await spoken(port, same + ends)
    assert app.said == [False] * 3
    assert answer_at_once(lambda message: None, 200, {}, b"") is False


async def test_no_header_field_breaks_the_line(served: tuple[App, int]) -> None:
    app, port = served
    got = await spoken(port, get("/quick/break"))
    assert got.startswith(b"HTTP/1.1 500 ") and b"b: c" not in got and app.said == []
