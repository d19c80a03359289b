"""Makes one POST to a witness or a time-stamp authority, whose answer is trusted by its signature alone.

Invariants: only an address of the settings is asked; no redirect, proxy or cookie is followed; size and time have
limits; failures are described in our own words.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

import aiohttp


class Unreached(ValueError):
    """No usable answer; the text says why."""


class Question(NamedTuple):
    url: str
    body: bytes
    kind: str  # media type


class Posted(NamedTuple):
    status: int
    kind: str  # media type, without parameters
    body: bytes


def trusting(anchors: Path) -> ssl.SSLContext:
    """TLS as a client that trusts the machine's authorities and the instance's."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(anchors)
    return context


async def post(
    session: aiohttp.ClientSession,
    question: Question,
    *,
    limit: int,
    seconds: float,
    tls: ssl.SSLContext | None = None,
) -> Posted:
    """Any status is an answer; `Unreached` if there is none."""
    try:
        async with session.post(
            question.url,
            data=question.body,
            headers={"Content-Type": question.kind},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds),
            ssl=tls if tls is not None else True,
        ) as answer:
            data = bytearray()
            async for part in answer.content.iter_any():
                data += part
                if len(data) > limit:
                    raise Unreached(f"its answer is longer than {limit} bytes")
            return Posted(answer.status, answer.content_type, bytes(data))
    except TimeoutError:
        raise Unreached(f"no answer within {seconds:g} s") from None
    except aiohttp.ClientConnectorCertificateError:
        raise Unreached("its TLS certificate is not trusted") from None
    except aiohttp.ClientConnectorError:
        raise Unreached("no connection") from None
    except (aiohttp.ClientError, OSError, ValueError) as trouble:
        if isinstance(trouble, Unreached):
            raise
        raise Unreached(type(trouble).__name__) from None
