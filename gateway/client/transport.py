"""Sends one HTTP/1.1 request to the gateway over mutual TLS (RFC 9112, RFC 8446), with aiohttp.

Invariant: exactly the signed bytes are sent, once: no default header, redirect, cookie, environment proxy, compression.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple, Protocol, runtime_checkable

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from contracts.wire.headers import joined
from gateway.client.errors import CLIENT_NO_CONNECTION

_SKIP: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_KEEP_ALIVE: Final = 4.0  # seconds, shorter than the gateway's: a call on a closing connection may or may not arrive
_LIMIT: Final = 20_000_000
SILENT: Final = 60.0  # seconds: a stream has a heartbeat more often
SLOWEST: Final = 1_000_000  # bytes a second of a large body, as the gateway waits for it


class RawAnswer(NamedTuple):
    """Header names are lower-case; repeated fields are joined by `, ` (RFC 9110 section 5.3)."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OpenAnswer(Protocol):
    """An answer whose body is still coming."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def parts(self) -> AsyncIterator[bytes]:
        """Raises `NoConnection` if the body breaks off, or nothing came for SILENT seconds."""
        ...

    async def whole(self) -> RawAnswer: ...


class Transport(Protocol):
    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        """Raises `NoConnection` if no complete answer came."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class StreamTransport(Transport, Protocol):
    def stream(self, method: str, url: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[OpenAnswer]:
        """Raises `NoConnection` if no head of an answer came."""
        ...


@runtime_checkable
class UploadTransport(Transport, Protocol):
    async def upload(
        self, method: str, url: str, headers: Mapping[str, str], pieces: AsyncIterator[bytes]
    ) -> RawAnswer:
        """`headers` have the length. Raises `NoConnection` if no complete answer came."""
        ...


class _Open:
    def __init__(self, response: aiohttp.ClientResponse, method: str, url: str) -> None:
        self.status: Final = response.status
        self.headers: Final = joined(response.raw_headers)
        self._response, self._of = response, (method, url)

    async def parts(self) -> AsyncIterator[bytes]:
        async with _told(*self._of):
            async for part in self._response.content.iter_any():
                yield part

    async def whole(self) -> RawAnswer:
        content = bytearray()
        async for part in self.parts():
            content += part
            if len(content) > _LIMIT:
                raise CLIENT_NO_CONNECTION(sent=True, method=self._of[0], url=self._of[1], reason=f"> {_LIMIT} bytes")
        return RawAnswer(self.status, self.headers, bytes(content))


@asynccontextmanager
async def _told(method: str, url: str) -> AsyncIterator[None]:
    """Turns what aiohttp raises into `NoConnection`."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as trouble:
        raise CLIENT_NO_CONNECTION(sent=False, method=method, url=url, reason=_reason(trouble)) from trouble
    except (aiohttp.ClientError, TimeoutError, OSError, asyncio.IncompleteReadError) as trouble:
        raise CLIENT_NO_CONNECTION(sent=True, method=method, url=url, reason=_reason(trouble)) from trouble


class HttpTransport:
    """The HTTP session of a client, opened at the first request in the running event loop."""

    def __init__(
        self, tls: ssl.SSLContext, *, seconds: float, connections: int, resolver: AbstractResolver | None = None
    ) -> None:
        """`seconds` limits a whole request, with a second more for each SLOWEST bytes. `resolver` replaces the resolver
        of this host.
        """
        self._tls = tls
        self._resolver = resolver
        self._seconds = seconds
        self._timeout = aiohttp.ClientTimeout(total=seconds, connect=min(5.0, seconds))
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        seconds = self._seconds + len(body or b"") // SLOWEST
        timeout = aiohttp.ClientTimeout(total=seconds, connect=self._timeout.connect)
        async with _told(method, url):
            async with self._open().request(
                method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False, timeout=timeout
            ) as response:
                return await _Open(response, method, url).whole()
        raise AssertionError("unreachable")

    async def upload(
        self, method: str, url: str, headers: Mapping[str, str], pieces: AsyncIterator[bytes]
    ) -> RawAnswer:
        seconds = aiohttp.ClientTimeout(total=None, connect=self._timeout.connect, sock_read=SILENT)
        async with _told(method, url):
            async with self._open().request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=pieces,
                allow_redirects=False,
                timeout=seconds,
                expect100=True,  # a refusal is read before the body is sent
            ) as response:
                return await _Open(response, method, url).whole()
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def stream(self, method: str, url: str, headers: Mapping[str, str]) -> AsyncIterator[OpenAnswer]:
        seconds = aiohttp.ClientTimeout(total=None, connect=self._timeout.connect, sock_read=SILENT)
        async with AsyncExitStack() as stack:
            async with _told(method, url):
                response = await stack.enter_async_context(
                    self._open().request(
                        method, URL(url, encoded=True), headers=headers, allow_redirects=False, timeout=seconds
                    )
                )
            yield _Open(response, method, url)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._tls, limit=self._connections, keepalive_timeout=_KEEP_ALIVE, resolver=self._resolver
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                skip_auto_headers=_SKIP,
            )
            # A GET without an answer would go out again by itself. Signed bytes are for one use: the kit signs anew.
            self._session._retry_connection = False
        return self._session


def _reason(trouble: BaseException) -> str:
    if isinstance(trouble, aiohttp.ClientConnectorCertificateError):
        return f"TLS: {trouble.certificate_error}"
    return str(trouble)[:200] or type(trouble).__name__
