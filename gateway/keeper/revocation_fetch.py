"""Fetches what an authority publishes: a list from a file or by HTTP, or an OCSP answer (RFC 6960 appendix A).

What comes is believed by its signature alone, so plain HTTP is enough.
Invariants: only an address of the registry document is asked; no redirect, proxy or cookie is followed; size and time
have limits.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp

LIST_LIMIT: Final = 20_000_000
ANSWER_LIMIT: Final = 100_000
_SECONDS: Final = aiohttp.ClientTimeout(total=15, connect=5)


class Unreachable(ValueError):
    """No usable answer; the text says why."""


def open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=16),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=_SECONDS,
    )


async def read_list(session: aiohttp.ClientSession, address: str) -> bytes:
    """The revocation list at an address of the authority's record."""
    if address.startswith("file:"):
        return await asyncio.to_thread(_read_file, unquote(urlsplit(address).path))
    return await _send(session, "GET", address, None, LIST_LIMIT)


async def ask_responder(session: aiohttp.ClientSession, address: str, question: bytes) -> bytes:
    return await _send(session, "POST", address, question, ANSWER_LIMIT)


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(LIST_LIMIT + 1)
    except OSError as trouble:
        raise Unreachable(str(trouble.strerror)) from None
    if len(data) > LIST_LIMIT:
        raise Unreachable(f"longer than {LIST_LIMIT} bytes")
    return data


async def _send(session: aiohttp.ClientSession, method: str, address: str, body: bytes | None, limit: int) -> bytes:
    headers = {"Content-Type": "application/ocsp-request"} if body is not None else {}
    try:
        async with session.request(method, address, data=body, headers=headers, allow_redirects=False) as answer:
            if answer.status != 200:
                raise Unreachable(f"status {answer.status}")
            data = bytearray()
            async for part in answer.content.iter_any():
                data += part
                if len(data) > limit:
                    raise Unreachable(f"longer than {limit} bytes")
            return bytes(data)
    except (aiohttp.ClientError, TimeoutError, OSError) as trouble:
        raise Unreachable(type(trouble).__name__) from None
