"""What a client sends is sent once: a connection that dies without an answer sends nothing again by itself."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

import pytest

from gateway.client import NoConnection
from gateway.client.transport import HttpTransport


def test_signed_bytes_without_an_answer_are_not_sent_again() -> None:
    """The connection is one that was used before: aiohttp would send a GET again by a new one."""
    asyncio.run(_once())


async def _once() -> None:
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # the other side has ended
            while True:
                came.append(await reader.readuntil(b"\r\n\r\n"))
                if len(came) == 2:
                    break
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = HttpTransport(ssl.create_default_context(), seconds=5, connections=1)
        assert (await transport.send("GET", f"http://127.0.0.1:{port}/", {}, None)).status == 200
        with pytest.raises(NoConnection):
            await transport.send("GET", f"http://127.0.0.1:{port}/", {}, None)
        await transport.close()
    assert len(came) == 2
