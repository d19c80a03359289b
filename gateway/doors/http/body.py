"""Reads a request's headers and body within limits, before anything parses them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from contracts.wire.headers import media_type
from contracts.wire.mtom import PACKAGE
from gateway.doors.http.costs import LARGE
from gateway.doors.http.errors import (
    BODY_ENCODED,
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    REQUEST_HEADER_TWICE,
    REQUEST_TOO_MANY_HEADERS,
)
from gateway.transfer.large_body import LargeBody
from gateway.vault.scratch import Room

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Admit = Callable[[int], Awaitable[None]]

LATE: Final = 408  # status of `body.too-slow`; its answer ends the connection (RFC 9110 §15.5.9)

TARGET: Final = "lgsp.target"  # in the scope: the request's target, byte for byte
ABORT: Final = "lgsp.abort"  # in the scope: ends the connection without sending what is still to be sent

# A second field of these could differ between the signature and the gateway.
_ONCE: Final = frozenset(
    {
        "authorization",
        "content-type",
        "content-length",
        "content-digest",
        "content-encoding",
        "idempotency-key",
        "signature-input",
        "signature",
        "soapaction",
        "host",
    }
)


MAX_HEADERS: Final = 100
SLOWEST: Final = 1_000_000  # bytes a second of a large body, after the seconds of any body
AT_ONCE: Final = 524_288  # bytes of a large body in memory


class Gone(Exception):
    """The caller closed the connection before its request was complete."""


def headers_of(scope: Scope) -> dict[str, str]:
    """Header fields by lower-case name. Repeated fields are joined (RFC 9110 §5.3) or refused (`_ONCE`)."""
    headers: dict[str, str] = {}
    if len(scope["headers"]) > MAX_HEADERS:
        raise REQUEST_TOO_MANY_HEADERS(found=len(scope["headers"]), limit=MAX_HEADERS)
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1")
        value = raw_value.decode("latin-1").strip()
        if name in headers:
            if name in _ONCE:
                raise REQUEST_HEADER_TWICE(header=name)
            headers[name] = f"{headers[name]}, {value}"
        else:
            headers[name] = value
    return headers


def target_uri(scope: Scope, base: str) -> str:
    """The `@target-uri` of the signature: the public base address, and path and query as received."""
    raw = scope.get(TARGET)
    if raw is not None and raw.startswith(b"/"):
        return base + str(raw.decode("latin-1"))
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    query = scope["query_string"].decode("latin-1")
    return f"{base}{path}" + (f"?{query}" if query else "")


def brings_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


@dataclass(frozen=True, slots=True)
class Spooling:
    """Bodies over the usual limit, up to `limit` bytes, go to a file in `room`. `add` runs in `threads`."""

    room: Room
    limit: int
    threads: ThreadPoolExecutor


async def read_body(
    receive: Receive, headers: dict[str, str], *, limit: int, seconds: float, admit: Admit | None = None
) -> bytes:
    """The whole body. Raises `Theirs` if it is too large, encoded or too slow, `Gone` if the caller left.

    `admit` is called once when the body is known to be large (`costs.LARGE`), with its size in bytes. It may raise.
    """
    known = known_size(headers)
    if known > limit:
        raise BODY_TOO_LARGE(limit=limit)
    if admit is not None and known > LARGE:
        await admit(known)
        admit = None
    try:
        async with asyncio.timeout(seconds):  # from the first byte on
            return await _collect(receive, limit, admit)
    except TimeoutError:
        raise BODY_TOO_SLOW(seconds=seconds) from None


def expects_large(headers: Mapping[str, str], limit: int) -> bool:
    """Whether the body is to be spooled: a package of files, longer than `limit`, or of a length that is not told."""
    return media_type(headers) == PACKAGE or "transfer-encoding" in headers or known_size(headers) > limit


async def spool_body(
    receive: Receive, headers: dict[str, str], *, into: Spooling, limit: int, owner: str, seconds: float, admit: Admit
) -> LargeBody | bytes:
    """The same for a body that is, or may be, large: in a file if it is longer than `limit`, or a package.

    It may take a second more for each `SLOWEST` bytes.
    """
    known = known_size(headers)
    if known > into.limit:
        raise BODY_TOO_LARGE(limit=into.limit)
    if known > LARGE:
        await admit(known)
    seconds += (known or into.limit) / SLOWEST
    taking = _Taking(into, owner, headers, known, limit, admit)
    try:
        async with asyncio.timeout(seconds):
            return await taking.take(receive)
    except TimeoutError:
        taking.close()
        raise BODY_TOO_SLOW(seconds=f"{seconds:.0f}") from None
    except BaseException:
        taking.close()
        raise


@dataclass(slots=True)
class _Taking:
    """One body that comes. Without a known length it is in memory up to `limit`."""

    into: Spooling
    owner: str
    headers: dict[str, str]
    known: int
    limit: int
    admit: Admit
    body: LargeBody | None = None

    async def take(self, receive: Receive) -> LargeBody | bytes:
        file = self.known > self.limit or media_type(self.headers) == PACKAGE
        if file:
            self._open(self.known or LARGE)
        parts, size, total, more, admitted = list[bytes](), 0, 0, True, self.known > LARGE
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            parts.append(part)
            size += len(part)
            total += len(part)
            if total > self.into.limit:
                raise BODY_TOO_LARGE(limit=self.into.limit)
            if not admitted and total > LARGE:
                await self.admit(self.limit)
                admitted = True
            if self.body is None and total > self.limit:
                await self.admit(self.into.limit - self.limit)
                self._open(self.into.limit)
            if self.body is not None and (size >= AT_ONCE or not more):
                joined, parts, size = b"".join(parts), [], 0
                await asyncio.get_running_loop().run_in_executor(self.into.threads, self.body.add, joined)
        return self.body if self.body is not None else b"".join(parts)

    def _open(self, expected: int) -> None:
        digests = self.headers.get("content-digest", "")
        self.body = LargeBody.begin(self.into.room, self.owner, expected, digests)

    def close(self) -> None:
        if self.body is not None:
            self.body.close()


def known_size(headers: Mapping[str, str]) -> int:
    """The length that the headers tell; 0 if they do not. `body.encoded` for a compressed body."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise BODY_ENCODED(got=encoding[:40])
    declared = headers.get("content-length", "")
    digits = declared.lstrip("0") if declared.isascii() and declared.isdigit() else ""
    return int(digits[:19] or "0")  # more digits exceed any limit


async def _collect(receive: Receive, limit: int, admit: Admit | None) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BODY_TOO_LARGE(limit=limit)
        if admit is not None and size > LARGE:
            await admit(limit)
            admit = None
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)
