"""A provider answers in pieces of one byte: what each costs is bounded, as of requests, and others are not delayed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from adapters.errors import ProviderFailure
from adapters.http import Call, send
from adapters.opening import Peers, open_session
from security.http_signatures import HttpRequest

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class Hostile:
    """`taken`: bytes of the answer that the gateway let it send."""

    url = ""
    pieces: tuple[bytes, int] = (b"", 0)
    head = b""
    taken = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + self.head)
            piece, times = self.pieces
            for _ in range(times):
                writer.write(piece)
                self.taken += len(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[Hostile]:
    made = Hostile()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    yield made
    server.close()
    await server.wait_closed()


async def asked(hostile: Hostile) -> bytes:
    async with open_session(Peers(ssl.create_default_context())) as session:
        answer = await send(session, "one", Call(HttpRequest("GET", hostile.url, {}, b""), 20.0))
        return answer.body


@pytest.mark.attack("limits")
async def test_an_answer_in_chunks_of_one_byte_is_ended_early(hostile: Hostile) -> None:
    hostile.head, hostile.pieces = b"transfer-encoding: chunked\r\n\r\n", (b"1\r\nx\r\n" * 5_000, 900)
    with pytest.raises(ProviderFailure, match=r"provider\.bad-answer") as failed:
        await asked(hostile)
    assert failed.value.facts["reason"] == "too many small pieces"
    assert hostile.taken < 27_000_000 / 4


async def test_large_chunks_and_a_few_small_ones_are_read(hostile: Hostile) -> None:
    hostile.head = b"transfer-encoding: chunked\r\n\r\n"
    hostile.pieces = (b"1\r\nx\r\n" * 2_000 + b"10000\r\n" + b"y" * 65_536 + b"\r\n0\r\n\r\n", 1)
    assert await asked(hostile) == b"x" * 2_000 + b"y" * 65_536
    hostile.head, hostile.pieces = b"content-length: 1000000\r\n\r\n", (b"z" * 10_000, 100)
    assert await asked(hostile) == b"z" * 1_000_000
    hostile.head, hostile.pieces = b"content-length: 0\r\n\r\n", (b"", 0)
    assert [await asked(hostile) for _ in range(3)] == [b"", b"", b""]
    hostile.head, hostile.pieces = b"content-length: 5000001\r\n\r\n", (b"z", 1)
    with pytest.raises(ProviderFailure, match=r"provider\.answer-too-large"):
        await asked(hostile)
