"""Listens for HTTP/1.1 with aiohttp: applies limits, then calls one handler for the whole request (RFC 9112).

The head is checked before the body is read, so a wrong secret or address costs little.
Invariant: a body passed on is complete, within its limits of size and time, and not encoded.
Invariant: every failure ends in an answer made by the handler.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final, NamedTuple, Protocol

from aiohttp import web

from contracts.base.errors import Failure
from contracts.wire.headers import joined
from gateway.agent.config import Address
from gateway.agent.errors import AGENT_BODY_ENCODED, AGENT_BODY_TOO_LARGE, AGENT_BODY_TOO_SLOW, AGENT_BUSY, AGENT_FAULT

log = logging.getLogger("lgsp.agent")
# The server's message about a malformed request quotes it, perhaps with the secret: keep it out of the log.
_quoting = logging.getLogger("lgsp.agent.http")
_quoting.addHandler(logging.NullHandler())
_quoting.propagate = False
HEAD_SECONDS: Final = 20.0
STALLED: Final = 30.0  # seconds
_LINGER: Final = 2.0


class Head(NamedTuple):
    """A request head. `target` is the raw path and query; header names are lower-case, repeated fields joined."""

    method: str
    target: str
    headers: Mapping[str, str]
    certificate: bytes | None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


class Reply(NamedTuple):
    """`parts` follow the body one by one, where the answer is a stream."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    parts: AsyncGenerator[bytes] | None = None


class Handler(Protocol):
    async def handle(self, head: Head, read: Callable[[], Awaitable[bytes]]) -> Reply: ...

    def refuse(self, head: Head, failure: Failure) -> Reply:
        """The failure in the protocol of the caller."""
        ...


class Listener:
    """Serves one handler on one address."""

    def __init__(
        self, handler: Handler, *, limit: int, seconds: float, calls: int, tls: ssl.SSLContext | None = None
    ) -> None:
        self._handler, self._limit, self._seconds, self._calls, self._tls = handler, limit, seconds, calls, tls
        self._active = 0
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None

    async def open(self, at: Address) -> None:
        self._web = web.Server(
            self._serve,
            access_log=None,
            logger=_quoting,
            auto_decompress=False,
            keepalive_timeout=HEAD_SECONDS,  # also counted from the start of a connection, so it ends a slow head
            lingering_time=_LINGER,
        )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._web, at.host, at.port, ssl=self._tls, backlog=128)

    async def close(self, seconds: float) -> None:
        """Accept no new connections; answer the requests in progress, for at most that many seconds."""
        if self._server is not None:
            self._server.close()
        if self._web is not None:
            await asyncio.sleep(0)  # received requests start, so their connections are not idle
            self._web.pre_shutdown()  # closes the idle connections
            await self._web.shutdown(seconds)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        head = _head(request)
        self._active += 1
        try:
            if self._active > self._calls:
                raise AGENT_BUSY(limit=self._calls, retry_after=2)
            reply = await self._handler.handle(head, lambda: self._body(request, head))
        except Failure as failure:
            reply = self._handler.refuse(head, failure)
        except ConnectionError:
            raise
        except Exception:  # a bug: the caller gets a code, the log the trace, neither gets the message
            log.exception("%s: unforeseen fault", head.method)
            reply = self._handler.refuse(head, AGENT_FAULT())
        else:
            if reply.parts is not None:
                return await self._streamed(request, reply, reply.parts)
        finally:
            self._active -= 1
        answer = web.Response(status=reply.status, headers={"server": "lgsp-agent", **reply.headers}, body=reply.body)
        if not request.content.is_eof():
            answer.force_close()  # do not wait for the rest of the body
        return answer

    async def _streamed(
        self, request: web.BaseRequest, reply: Reply, parts: AsyncGenerator[bytes]
    ) -> web.StreamResponse:
        """Sends each part as it comes. A reader that takes nothing for `STALLED` seconds loses its connection."""
        answer = web.StreamResponse(status=reply.status, headers={"server": "lgsp-agent", **reply.headers})
        answer.force_close()
        async with aclosing(parts):
            try:
                await answer.prepare(request)
                await answer.write(reply.body)
                async for part in parts:
                    async with asyncio.timeout(STALLED):
                        await answer.write(part)
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()
        return answer

    async def _body(self, request: web.BaseRequest, head: Head) -> bytes:
        encoding = head.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise AGENT_BODY_ENCODED(got=encoding[:40])
        declared = request.content_length
        if declared is not None and declared > self._limit:
            raise AGENT_BODY_TOO_LARGE(limit=self._limit)
        if head.headers.get("expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                async for part in request.content.iter_any():
                    body += part
                    if len(body) > self._limit:
                        raise AGENT_BODY_TOO_LARGE(limit=self._limit)
        except TimeoutError:
            raise AGENT_BODY_TOO_SLOW(seconds=self._seconds) from None
        return bytes(body)


def _head(request: web.BaseRequest) -> Head:
    transport = request.transport
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    return Head(
        request.method,
        request.raw_path,
        joined(request.raw_headers),
        tls.getpeercert(binary_form=True) if tls is not None else None,
    )
