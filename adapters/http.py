"""Makes one HTTP/1.1 call over mutual TLS (RFC 9112, RFC 8446), for every adapter that speaks HTTP.

Invariants:
- The evidence is exactly what travelled: head and body, both ways. So there are no default headers, redirects, cookies,
  proxies from the environment or decompression.
- A failure says whether anything may have been sent: a connection that never opened sent nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import aiohttp
from yarl import URL

from adapters.errors import (
    PROVIDER_ANSWER_TOO_LARGE,
    PROVIDER_BAD_ANSWER,
    PROVIDER_DOWN,
    PROVIDER_DROPPED,
    PROVIDER_TIMEOUT,
    Acted,
    ProviderErrorType,
    ProviderFailure,
)
from adapters.model import Incoming
from adapters.opening import NotOpened
from contracts.wire.attachments import Spool
from contracts.wire.headers import joined
from security.http_signatures import HttpRequest
from security.pki.tls import SUITES_12

ANSWER_LIMIT: Final = 5_000_000
UNSIGNED_KEPT: Final = 16_384  # bytes of an answer that nobody signed: it proves nothing, and shows what went wrong
SLOWEST: Final = 1_000_000  # bytes a second of a large body, after the seconds of any call
_LARGE: Final = 65_536  # bytes; a larger answer is read off the event loop
_THREADS: Final = ThreadPoolExecutor(2, "answers")
CONNECT_SECONDS: Final = 5.0
_PIECE: Final = 5  # bytes: the least that frames a chunk
_OVERHEAD: Final = 65_536  # bytes of framing that any body may have, and an eighth of its data more
_CERTIFICATE: Final = {  # by OpenSSL's X509_V_ERR_…
    10: "its TLS certificate has expired",
}


T = TypeVar("T")


class HttpAnswer(NamedTuple):
    """A complete answer. Header names are lower-case; repeated fields are joined by `, ` (RFC 9110 §5.3)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    evidence_out: bytes
    evidence_in: bytes
    seconds: float
    opened_out: bytes = b""  # of encrypted bodies, what was signed: set by the adapter
    opened_in: bytes = b""

    def incoming(self, message: Any, key_id: str) -> Incoming:
        """The verified answer, whose content is `message`."""
        return Incoming(
            answer=message,
            evidence_out=self.evidence_out,
            evidence_in=self.evidence_in,
            key_id=key_id,
            status=self.status,
            seconds=self.seconds,
            opened_out=self.opened_out,
            opened_in=self.opened_in,
        )

    def unsigned(self) -> HttpAnswer:
        """The answer as it is kept if no key of its system signed it: the evidence of a long one is cut, and says so.
        What was decrypted of it stands in what came.
        """
        whole = self.evidence_in
        if len(whole) + len(self.opened_in) <= UNSIGNED_KEPT:
            return self
        note = b"\r\n[not signed: the gateway kept %d of %d bytes]\r\n" % (UNSIGNED_KEPT, len(whole))
        cut = whole[:UNSIGNED_KEPT] + note if len(whole) > UNSIGNED_KEPT else whole
        return self._replace(evidence_in=cut, opened_in=b"")

    def failed(
        self, error: ProviderErrorType, system: str, *, acted: Acted = Acted.MAYBE, **facts: Any
    ) -> ProviderFailure:
        """A failure with the evidence of this answer."""
        failure = error(
            acted=acted, evidence_out=self.evidence_out, evidence_in=self.evidence_in, system=system, **facts
        )
        failure.opened_out, failure.opened_in = self.opened_out, self.opened_in
        return failure


def client_context(authority: Path, certificate: Path, key: Path, password: bytes | None = None) -> ssl.SSLContext:
    """TLS as a client with a certificate, which trusts only the given authorities. Who answers is for `Peers.prove`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES_12)
    context.load_verify_locations(authority)
    context.load_cert_chain(certificate, key, password or b"")  # without it, OpenSSL would ask at the terminal
    return context


@lru_cache(maxsize=4096)
def _address(url: str) -> tuple[URL, str]:
    parsed = URL(url, encoded=True)
    host = parsed.raw_host or ""
    if ":" in host:
        host = f"[{host}]"
    return parsed, host if parsed.is_default_port() else f"{host}:{parsed.port}"


class Large(NamedTuple):
    """A body that is sent in pieces: what is in memory has stand-ins for the contents of `spool`."""

    spool: Spool
    body: bytes
    size: int
    sha256: bytes

    @property
    def content_digest(self) -> str:
        return f"sha-256=:{base64.b64encode(self.sha256).decode('ascii')}:"

    async def pieces(self) -> AsyncIterator[bytes]:
        """Each is read in a thread."""
        loop, pieces = asyncio.get_running_loop(), self.spool.restore(self.body)
        while (piece := await loop.run_in_executor(_THREADS, next, pieces, None)) is not None:
            if piece:
                yield piece


async def large_of(spool: Spool | None, body: bytes) -> Large | None:
    """Digests a body with large contents before anything is sent. None if it has none."""
    if spool is None or (size := spool.size(body)) == len(body):
        return None

    return Large(spool, body, size, await beside(spool, lambda: large_digest(spool, body)))


def large_digest(spool: Spool | None, body: bytes) -> bytes:
    """SHA-256 of a body as it is sent."""
    whole = hashlib.sha256()
    for piece in (body,) if spool is None else spool.restore(body):
        whole.update(piece)
    return whole.digest()


async def beside(heavy: object, work: Callable[[], T]) -> T:
    """Returns `work()`. It runs in a thread if `heavy` is true: the message is long, or has large contents."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work) if heavy else work()


class Call(NamedTuple):
    """`large` is the body if it is sent in pieces. Then it may take longer than `timeout` (seconds)."""

    request: HttpRequest
    timeout: float
    limit: int = ANSWER_LIMIT
    large: Large | None = None

    @property
    def size(self) -> int:
        return len(self.request.body) if self.large is None else self.large.size

    @property
    def seconds(self) -> float:
        return self.timeout if self.large is None else self.timeout + self.large.size / SLOWEST

    @property
    def data(self) -> bytes | AsyncIterator[bytes] | None:
        return self.request.body or None if self.large is None else self.large.pieces()


async def send(session: aiohttp.ClientSession, system: str, call: Call) -> HttpAnswer:
    """Sends, and reads the answer; `ProviderFailure` if there is none."""
    request, limit, timeout = call.request, call.limit, call.seconds
    url, body = request.target_uri, request.body
    address, host = _address(url) if "?" not in url else _address.__wrapped__(url)
    fields = {"Host": host, **request.headers}
    if body:
        fields["Content-Length"] = str(call.size)
    head = f"{request.method} {address.raw_path_qs} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in fields.items()
    )
    evidence_out = head.encode("latin-1") + b"\r\n" + body
    limits = aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_SECONDS, timeout * 0.6))
    started = time.perf_counter()
    try:
        async with session.request(
            request.method,
            address,
            headers=fields,
            data=call.data,
            allow_redirects=False,
            timeout=limits,
            server_hostname=system,  # by which the session judges who answers (`adapters.opening`)
        ) as response:
            content = await _read(response, limit)
            if content is None:
                raise PROVIDER_ANSWER_TOO_LARGE(
                    acted=Acted.MAYBE, evidence_out=evidence_out, system=system, limit=limit
                )
            version = response.version
            line = f"HTTP/{version.major}.{version.minor} " if version else "HTTP/1.1 "
            evidence_in = (
                f"{line}{response.status} {response.reason or ''}\r\n".encode("latin-1")
                + b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
                + b"\r\n"
                + content
            )
            return HttpAnswer(
                response.status,
                joined(response.raw_headers),
                content,
                evidence_out,
                evidence_in,
                time.perf_counter() - started,
            )
    except (aiohttp.ClientConnectorError, NotOpened, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as trouble:
        raise PROVIDER_DOWN(
            acted=Acted.NO, evidence_out=evidence_out, system=system, reason=_reason(trouble)
        ) from trouble
    except TimeoutError as trouble:
        raise PROVIDER_TIMEOUT(
            acted=Acted.MAYBE, evidence_out=evidence_out, system=system, seconds=f"{timeout:g}"
        ) from trouble
    except aiohttp.ClientResponseError as trouble:
        raise PROVIDER_BAD_ANSWER(
            acted=Acted.MAYBE, evidence_out=evidence_out, system=system, reason="not HTTP/1.1"
        ) from trouble
    except _SmallPieces as trouble:
        raise PROVIDER_BAD_ANSWER(
            acted=Acted.MAYBE, evidence_out=evidence_out, system=system, reason="too many small pieces"
        ) from trouble
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as trouble:
        raise PROVIDER_DROPPED(
            acted=Acted.MAYBE, evidence_out=evidence_out, system=system, reason=_reason(trouble)
        ) from trouble


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The whole body; None as soon as it exceeds the limit. Each piece costs as much as a large one, so pieces are
    bounded as those of requests are: an answer that is mostly sizes and reads is none.
    """
    if (response.content_length or 0) > limit:
        return None
    parts: list[bytes] = []
    size = overhead = 0
    while not response.content.at_eof():
        part, _ = await response.content.readchunk()
        size += len(part)
        overhead += _PIECE
        if size > limit:
            return None
        if overhead > _OVERHEAD + size // 8:
            raise _SmallPieces
        parts.append(part)
    return b"".join(parts)


class _SmallPieces(Exception):
    """The body of an answer comes in too many small pieces."""


def _reason(trouble: BaseException) -> str:
    """A few words for people; never a path or an address of ours."""
    if isinstance(trouble, NotOpened):
        return trouble.why
    if isinstance(trouble, aiohttp.ClientConnectorCertificateError):
        code = getattr(trouble.certificate_error, "verify_code", 0)
        return _CERTIFICATE.get(code, "its TLS certificate is not trusted")
    if isinstance(trouble, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(trouble, aiohttp.ClientSSLError):
        return "TLS handshake failed"
    if isinstance(trouble, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(trouble, aiohttp.InvalidURL):
        return "its address is malformed"
    cause = trouble.os_error if isinstance(trouble, aiohttp.ClientConnectorError) else trouble
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, ssl.SSLError):
        return "TLS failed"
    if isinstance(cause, socket.gaierror):
        return "its name is not known"
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return "closed by the other side"
    return "connection failed"


async def off_loop(answer: HttpAnswer, read: Callable[..., Incoming], *of: Any) -> Incoming:
    """Returns `read(*of)`. For a large answer it runs in a thread, so that other calls are not delayed."""
    if len(answer.body) <= _LARGE:
        return read(*of)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, read, *of)
