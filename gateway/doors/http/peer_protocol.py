"""Speaks HTTP/1.1 on a connection: uvicorn's protocol with the peer's certificate and limits on heads.

Client certificates are optional in the handshake: the door refuses a missing one in the caller's protocol.
`scope["extensions"]["tls"]["client_cert_der"]` holds the certificate (DER bytes or None), read once a connection.
Invariant: open connections are limited by certificate, by agency, and by address without a registered certificate.
Invariant: a head is limited in bytes and time. A head that is not strict HTTP/1.1 reaches no parser (`framing.py`).
  Trailers of a chunked body are ignored.
Invariant: fields by which a proxy names a client certificate (RFC 9440) are dropped in any spelling. Only the listeners
  of `edge.py` read them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final, cast

from contracts.base.errors import Failure
from contracts.wire import problems
from gateway.doors.http.body import ABORT, TARGET, Receive, Scope, Send
from gateway.doors.http.framing import Framing, Malformed
from gateway.doors.http.limits import Connections, Place
from gateway.doors.http.uvicorn_parts import HttpToolsProtocol

HEAD_SECONDS: Final = 20.0
_FAREWELL_SECONDS: Final = 2.0  # for a peer that still sends, to read its answer
# Fields that claim a client certificate; `_` counts as `-`, as in some servers.
_CLAIMS: Final = frozenset({b"client-cert", b"client-cert-chain", b"x-ssl-client-cert"})
_CLAIM_LENGTHS: Final = frozenset(map(len, _CLAIMS))
_ADDRESS: Final = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (/[\x21\x22\x24-\x7e]{0,512})(?=[ \r?])")
_log: Final = logging.getLogger("lgsp.server")
_ANSWER = b"HTTP/1.1 "
_INTERIM = b"HTTP/1.1 1"
_END_OF_HEAD = b"\r\n\r\n"


class OneWrite:
    """A transport that sends an answer's head with its body, in one record and system call.

    A connection whose peer still sends is closed a little later (`stays`). Else the peer's kernel would drop the unread
    answer (RFC 9112 §9.6).
    """

    __slots__ = ("_closing", "_head", "_stays", "_transport")

    def __init__(self, transport: asyncio.Transport, stays: Callable[[], bool]) -> None:
        self._transport = transport
        self._head = b""
        self._stays = stays
        self._closing = False

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_ANSWER) and data.endswith(_END_OF_HEAD) and not data.startswith(_INTERIM):
            self._head = data
            return
        self._transport.write(data)

    def close(self) -> None:
        self.flush()
        if self._closing:
            return
        self._closing = True
        if not self._stays():
            self._transport.close()

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def flush(self) -> None:
        """Sends the head of an answer without a body."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    @property
    def inner(self) -> asyncio.Transport:
        return self._transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _at_once(full: Failure) -> bytes:
    """The answer to a refused connection, before any request."""
    _, fields, body = problems.render(full, transfer=None, accept_language=None)
    lines = [
        f"{name}: {value}"
        for name, value in {**fields, "content-length": str(len(body)), "connection": "close"}.items()
    ]
    return "\r\n".join(("HTTP/1.1 429 Too Many Requests", *lines, "", "")).encode("latin-1") + body


Refusing = Callable[[Failure, Scope, Receive, Send], Awaitable[None]]


async def plain_refusal(failure: Failure, scope: Scope, _receive: Receive, send: Send) -> None:
    """Refuses malformed input for an application without a log."""
    status, fields, body = problems.render(failure, transfer=None, accept_language=None)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


@dataclass(frozen=True, slots=True)
class Listener:
    """Shared by all connections of one listener. `refusing` answers malformed input."""

    connections: Connections
    refusing: Refusing


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the peer's certificate and limits on a request's head.

    A head's clock starts with the connection, or with the first byte after an answer. The rest of an answered request's
    body must arrive within the same time.
    """

    _in_head = False
    _refused = False
    _head_timer: asyncio.TimerHandle | None = None
    _bidding: asyncio.TimerHandle | None = None
    listener: ClassVar[Listener]
    _counted: tuple[Place, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._framing = Framing()
        self._out = OneWrite(transport, self._stays_a_while)
        super().connection_made(cast(asyncio.Transport, self._out))
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self._extensions = {"tls": {"client_cert_der": certificate}}
        if tls is not None and self.counts(certificate):
            source = str((transport.get_extra_info("peername") or ("",))[0])
            try:
                self._counted = self.listener.connections.enter(certificate, source)
            except Failure as full:
                _log.warning("a connection from %s was refused: %s", source, full.what("en"))
                transport.write(_at_once(full))
                transport.close()
                return
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_late)

    def counts(self, certificate: bytes | None) -> bool:
        """Whether this connection counts for its peer's limits."""
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self.listener.connections.leave(self._counted)
        self._counted = ()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing() or self._refused:  # the connection ends: ignore the rest
            if self._bidding is not None and not self._out.inner.is_closing():
                self._out.inner.pause_reading()
            return
        taken, trouble = self._framing.take(data)
        if taken:
            super().data_received(taken)
        if trouble is not None and not self.transport.is_closing():
            self._refuse(trouble)
        if (
            self._head_timer is None
            and (self.cycle is None or self.cycle.response_complete)
            and not self.transport.is_closing()
        ):
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_late)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer is no header (RFC 9110 §6.5.1)
            return
        if len(name) in _CLAIM_LENGTHS and name.lower().replace(b"_", b"-") in _CLAIMS:
            self.on_claim(name, value)
            return
        super().on_header(name, value)

    def on_claim(self, name: bytes, value: bytes) -> None:
        """A field that claims a client certificate: ignored, as the handshake identified the client."""

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_head_timer()
        self.scope[TARGET] = self.url  # type: ignore[typeddict-unknown-key]
        self.scope[ABORT] = self._out.inner.abort  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def _refuse(self, trouble: Malformed) -> None:
        """Stops reading. The application gets a request of that address to refuse, so the refusal is logged. A current
        request with a broken body ends as disconnected.
        """
        self._refused = True
        if trouble.inside:
            if self.cycle is not None and not self.cycle.response_complete:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self.send_400_response(str(trouble.failure.facts.get("why", "")))
            return
        match = _ADDRESS.match(trouble.head)
        method, address = (match[1], match[2]) if match else (b"GET", b"/")
        self.app = partial(self.listener.refusing, trouble.failure)
        super().data_received(b"%s %s HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n" % (method, address))

    def on_response_complete(self) -> None:
        self._out.flush()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Malformed input after a whole request: that request is answered first, then the connection ends."""
        cycle = self.cycle
        self._refused = True
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        super().send_400_response(msg)

    def _stays_a_while(self) -> bool:
        """Whether the peer may still send. Then its bytes are read slowly for a while and dropped."""
        if not (self._framing.in_body or self._refused):
            return False
        self._stop_head_timer()
        self._farewell(self.loop.time() + _FAREWELL_SECONDS)
        return True

    def _farewell(self, until: float) -> None:
        transport = self._out.inner
        if transport.is_closing():
            return
        if self.loop.time() >= until:
            transport.abort()
            return
        transport.resume_reading()  # paused again by the next piece of data
        self._bidding = self.loop.call_later(_FAREWELL_SECONDS / 40, self._farewell, until)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.abort()
