"""Tests the connection to one system step by step: name, TCP, TLS, certificate, clock. No message is sent.

The keeper does it, since it delivers: it has the client certificate, and the same way through the network. The steps
stand in the job's facts as they come.
Invariant: only the registered endpoint is called; no address comes from a form.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final

from cryptography import x509
from yarl import URL

from adapters.opening import NotOpened, Peers, connected, ended

SECONDS: Final = 5.0  # for one step
CLOCKS: Final = 30.0  # seconds by which the clocks may differ; signatures allow little more
SOON: Final = 30.0  # days that a certificate should still last
_HEAD: Final = 8192
_ODD: Final = (401, 403)  # the endpoint may not take our certificate
Told = Callable[[list[dict[str, Any]]], Awaitable[None]]


@dataclass(slots=True)
class ConnectionTest:
    """`tell` is called with all steps after each of them."""

    peers: Peers
    system: str
    clock: Callable[[], float]
    tell: Told
    steps: list[dict[str, Any]] = field(default_factory=list)

    async def run(self, url: str | None, verified: float | None) -> list[dict[str, Any]]:
        """`verified`: when the signature of an answer held last."""
        if url is None:
            await self._add("address", "bad", time.monotonic(), why="none")
            return self.steps
        address = URL(url, encoded=True)
        await self._add("address", "ok", time.monotonic(), url=str(address.origin()))
        if await self._reach(address):
            await self._speak(address)
        # A signature needs a message, and no message is harmless for every system.
        await self._add("signature", "left-out", time.monotonic(), last=verified)
        return self.steps

    async def _reach(self, address: URL) -> bool:
        began, host, port = time.monotonic(), address.host or "", address.port or 443
        try:
            async with asyncio.timeout(SECONDS):
                found = await self._addresses(host, port)
        except (OSError, UnicodeError) as trouble:
            await self._add("dns", "bad", began, why=_why(trouble))
            return False
        await self._add("dns", "ok", began, addresses=sorted(found)[:4])
        began = time.monotonic()
        try:
            async with asyncio.timeout(SECONDS):
                _reader, writer = await connected(address, self.system, self.peers, tls=False)
        except OSError as trouble:
            await self._add("tcp", "bad", began, why=_why(trouble))
            return False
        writer.transport.abort()
        await self._add("tcp", "ok", began)
        return True

    async def _addresses(self, host: str, port: int) -> set[str]:
        return {each["host"] for each in await self.peers.addresses(self.system, host, port)}

    async def _speak(self, address: URL) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await connected(address, self.system, self.peers)
        except (OSError, ssl.SSLError) as trouble:
            await self._add("tls", "bad", began, why=_why(trouble))
            return
        try:
            if address.scheme != "https":
                await self._add("tls", "warn", began, why="no TLS")
            else:
                await self._tls(writer, began)
            await self._ask(reader, writer, address)
        finally:
            await ended(writer)

    async def _tls(self, writer: asyncio.StreamWriter, began: float) -> None:
        spoken: ssl.SSLObject = writer.get_extra_info("ssl_object")
        cipher = spoken.cipher()
        await self._add("tls", "ok", began, version=spoken.version(), cipher=cipher[0] if cipher else None)
        der = spoken.getpeercert(binary_form=True) or b""
        certificate = x509.load_der_x509_certificate(der)
        days = (certificate.not_valid_after_utc.timestamp() - self.clock()) / 86_400.0
        await self._add(
            "certificate",
            "ok" if days >= SOON else "warn",
            time.monotonic(),
            subject=certificate.subject.rfc4514_string()[:200],
            issuer=certificate.issuer.rfc4514_string()[:200],
            until=certificate.not_valid_after_utc.timestamp(),
            days=int(days),
            thumbprint=hashlib.sha256(der).hexdigest(),
        )

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: URL) -> None:
        """A HEAD request without a message: whether our certificate is taken, and what time it is there."""
        began = time.monotonic()
        host = address.raw_host or ""
        head = f"HEAD {address.raw_path} HTTP/1.1\r\nHost: {host}:{address.port}\r\nConnection: close\r\n\r\n"
        answer = b""
        try:
            async with asyncio.timeout(SECONDS):
                writer.write(head.encode("ascii"))
                await writer.drain()
                with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                    answer = await reader.readuntil(b"\r\n\r\n")
        except (OSError, ssl.SSLError, UnicodeError) as trouble:
            await self._add("http", "bad", began, why=_why(trouble))
            return
        lines = answer[:_HEAD].decode("latin-1").split("\r\n")
        status = lines[0].split(" ")
        if len(status) < 2 or not status[0].startswith("HTTP/1") or not status[1].isdecimal():
            await self._add("http", "bad", began, why="no answer in HTTP/1.1")
            return
        code = int(status[1])
        await self._add("http", "warn" if code in _ODD or code >= 500 else "ok", began, status=code)
        await self._clock(lines[1:])

    async def _clock(self, lines: list[str]) -> None:
        began = time.monotonic()
        fields = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        try:
            there = parsedate_to_datetime(fields["date"]).timestamp()
        except (KeyError, ValueError):
            await self._add("clock", "left-out", began, why="no Date")
            return
        apart = there - self.clock()
        await self._add("clock", "ok" if abs(apart) <= CLOCKS else "warn", began, apart=round(apart, 1))

    async def _add(self, name: str, state: str, began: float, **facts: Any) -> None:
        known = {key: value for key, value in facts.items() if value is not None}
        self.steps.append({"name": name, "state": state, "ms": round((time.monotonic() - began) * 1000), **known})
        await self.tell(self.steps)


def _why(trouble: BaseException) -> str:
    """Short, and without the words of the other side."""
    if isinstance(trouble, NotOpened):
        return trouble.why
    if isinstance(trouble, ssl.SSLCertVerificationError):
        return f"certificate: {trouble.verify_message}"[:120]
    if isinstance(trouble, ssl.SSLError):
        return f"TLS: {trouble.reason or 'failed'}"[:120]
    if isinstance(trouble, TimeoutError):
        return f"no answer within {SECONDS:.0f} s"
    return (getattr(trouble, "strerror", None) or type(trouble).__name__)[:120]
