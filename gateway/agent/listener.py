"""Listens for HTTP/1.1 with aiohttp: applies limits, then calls one handler for the whole request (RFC 9112).

The head is checked before the body is read, so a wrong secret or address costs little.
Invariant: a body passed on is complete, within its limits of size and time, and not encoded.
Invariant: every failure ends in an answer made by the handler.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final, NamedTuple, Protocol

from aiohttp import web

from contracts.base.errors import Failure
from contracts.wire.headers import joined
from gateway.agent.config import Address, CallerSide
from gateway.agent.errors import (
    AGENT_BODY_ENCODED,
    AGENT_BODY_TOO_LARGE,
    AGENT_BODY_TOO_SLOW,
    AGENT_BUSY,
    AGENT_FAULT,
    AGENT_HOST,
)

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


class Body(Protocol):
    """A body that is still to be read, once. `declared`: its length in bytes, if its sender tells it."""

    @property
    def declared(self) -> int | None: ...

    async def __call__(self) -> bytes:
        """The whole, within the usual limits."""
        ...

    def parts(self, limit: int, slowest: int) -> AsyncGenerator[bytes]:
        """What comes, up to `limit` bytes. It may take a second more for each `slowest` bytes."""
        ...


class Handler(Protocol):
    async def handle(self, head: Head, read: Body) -> Reply: ...

    def refuse(self, head: Head, failure: Failure) -> Reply:
        """The failure in the protocol of the caller."""
        ...


class Listener:
    """Serves one handler on one address."""

    def __init__(
        self,
        handler: Handler,
        *,
        limit: int,
        seconds: float,
        calls: int,
        tls: ssl.SSLContext | None = None,
        side: CallerSide | None = None,
    ) -> None:
        """`side`: of a local listener, which looks at `Host`."""
        self._side = side
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
            if self._side is not None and "host" in head.headers and not self._side.answers_to(head.headers["host"]):
                raise AGENT_HOST(got=head.headers["host"][:120], allowed=", ".join(self._side.names))
            reply = await self._handler.handle(head, _Incoming(request, head, self._limit, self._seconds))
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


class _Incoming:
    """The body of one request."""

    def __init__(self, request: web.BaseRequest, head: Head, limit: int, seconds: float) -> None:
        self._request, self._head, self._limit, self._seconds = request, head, limit, seconds

    @property
    def declared(self) -> int | None:
        return self._request.content_length

    async def __call__(self) -> bytes:
        return b"".join([part async for part in self.parts(self._limit, 0)])

    async def parts(self, limit: int, slowest: int) -> AsyncGenerator[bytes]:
        encoding = self._head.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise AGENT_BODY_ENCODED(got=encoding[:40])
        if self.declared is not None and self.declared > limit:
            raise AGENT_BODY_TOO_LARGE(limit=limit)
        if self._head.headers.get("expect", "").lower() == "100-continue":
            await self._request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._request.writer.output_size = 0
        came, begun = 0, asyncio.get_running_loop().time()
        while True:
            seconds = self._seconds + (came / slowest if slowest else 0.0)
            try:
                async with asyncio.timeout_at(begun + seconds):
                    part = await self._request.content.readany()
            except TimeoutError:
                raise AGENT_BODY_TOO_SLOW(seconds=f"{seconds:g}") from None
            if not part:
                return
            came += len(part)
            if came > limit:
                raise AGENT_BODY_TOO_LARGE(limit=limit)
            yield part


def _head(request: web.BaseRequest) -> Head:
    transport = request.transport
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    return Head(
        request.method,
        request.raw_path,
        joined(request.raw_headers),
        tls.getpeercert(binary_form=True) if tls is not None else None,
    )
