"""Sends one HTTP/1.1 request to the gateway over mutual TLS (RFC 9112, RFC 8446), with aiohttp.

Invariant: exactly the signed bytes are sent, once: no default header, redirect, cookie, environment proxy, compression.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from contracts.wire.headers import joined
from gateway.client.errors import CLIENT_NO_CONNECTION

_SKIP: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_KEEP_ALIVE: Final = 4.0  # seconds, shorter than the gateway's: a call on a closing connection may or may not arrive
_LIMIT: Final = 20_000_000


class RawAnswer(NamedTuple):
    """Header names are lower-case; repeated fields are joined by `, ` (RFC 9110 section 5.3)."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        """Raises `NoConnection` if no complete answer came."""
        ...

    async def close(self) -> None: ...


class HttpTransport:
    """The HTTP session of a client, opened at the first request in the running event loop."""

    def __init__(
        self, tls: ssl.SSLContext, *, seconds: float, connections: int, resolver: AbstractResolver | None = None
    ) -> None:
        """`seconds` limits a whole request. `resolver` replaces the resolver of this host."""
        self._tls = tls
        self._resolver = resolver
        self._timeout = aiohttp.ClientTimeout(total=seconds, connect=min(5.0, seconds))
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        try:
            async with self._open().request(
                method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False, timeout=self._timeout
            ) as response:
                content = bytearray()
                async for part in response.content.iter_any():
                    content += part
                    if len(content) > _LIMIT:
                        raise CLIENT_NO_CONNECTION(sent=True, method=method, url=url, reason=f"> {_LIMIT} bytes")
                return RawAnswer(response.status, joined(response.raw_headers), bytes(content))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as trouble:
            raise CLIENT_NO_CONNECTION(sent=False, method=method, url=url, reason=_reason(trouble)) from trouble
        except (aiohttp.ClientError, TimeoutError, OSError, asyncio.IncompleteReadError) as trouble:
            raise CLIENT_NO_CONNECTION(sent=True, method=method, url=url, reason=_reason(trouble)) from trouble

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
        return self._session


def _reason(trouble: BaseException) -> str:
    if isinstance(trouble, aiohttp.ClientConnectorCertificateError):
        return f"TLS: {trouble.certificate_error}"
    return str(trouble)[:200] or type(trouble).__name__
