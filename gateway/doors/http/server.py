"""The HTTP server of a listener: uvicorn with httptools, the peer's certificate in the ASGI scope, and an end that loses nothing.

- Client certificates are asked for, not required: a missing or unregistered one is refused by the door, in the caller's own protocol.
  The certificate stands in `scope["extensions"]["tls"]["client_cert_der"]` (DER bytes, or None), read once a connection.
- TLS 1.2 with AEAD and forward secrecy at least (RFC 9325); 1.3 is preferred.
- A server that is told to stop closes its listener, answers `Connection: close` for a while, then ends.
- One certificate, one agency, and one address without a registered certificate hold so many connections open, and no more; where descriptors run
  out, others wait (`acceptor.py`).
- A request's head has a limit in bytes and in time, as its body has in `body.py`; trailers of a chunked body count for nothing. What is no head of
  HTTP/1.1 in its one strict form reaches no parser and no application (`framing.py`).
- Header fields by which a proxy would tell a client's certificate (RFC 9440) are dropped, however they are spelt; only the listeners of
  `edge.py` look at them first.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import re
import shutil
import socket
import ssl
import stat
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contracts.base.errors import Failure
from contracts.wire import problems
from gateway.doors.http.acceptor import Acceptor
from gateway.doors.http.body import TARGET, Receive, Scope, Send
from gateway.doors.http.framing import Framing, Malformed
from gateway.doors.http.limits import Connections, Place
from security.pki.tls import SUITES_12

HEAD_SECONDS: Final = 20.0
_FAREWELL_SECONDS: Final = 2.0  # for a peer who goes on sending to read what it was told
# Fields that claim a client's certificate, `_` read as `-` since some servers take one for the other.
_CLAIMS: Final = frozenset({b"client-cert", b"client-cert-chain", b"x-ssl-client-cert"})
_CLAIM_LENGTHS: Final = frozenset(map(len, _CLAIMS))
_ADDRESS: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (/[\x21\x22\x24-\x7e]{0,512})(?=[ \r?])"
)  # of what is refused
_log: Final = logging.getLogger("lgsp.server")
_ANSWER = b"HTTP/1.1 "
_INTERIM = b"HTTP/1.1 1"
_END_OF_HEAD = b"\r\n\r\n"


class OneWrite:
    """A transport that holds an answer's head until its body comes, so that both leave in one record and one system call.

    Whoever streams gets the same with the first piece of the body. A connection whose peer is still sending is closed a little later (`stays`): at
    once, the peer's system would throw away the answer that it has not read yet (RFC 9112 §9.6).
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
        """An answer without a body ends here: nothing comes that would take its head along."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    @property
    def inner(self) -> asyncio.Transport:
        return self._transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _at_once(full: Failure) -> bytes:
    """An answer to whoever has not asked yet."""
    _, fields, body = problems.render(full, transfer=None, accept_language=None)
    lines = [
        f"{name}: {value}"
        for name, value in {**fields, "content-length": str(len(body)), "connection": "close"}.items()
    ]
    return "\r\n".join(("HTTP/1.1 429 Too Many Requests", *lines, "", "")).encode("latin-1") + body


Refusing = Callable[[Failure, Scope, Receive, Send], Awaitable[None]]


async def plain_refusal(failure: Failure, scope: Scope, _receive: Receive, send: Send) -> None:
    """How an application without a log refuses what is no request."""
    status, fields, body = problems.render(failure, transfer=None, accept_language=None)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


@dataclass(frozen=True, slots=True)
class Listener:
    """What all connections of one listener share. `refusing` answers what is no request that could be given to the application."""

    connections: Connections
    refusing: Refusing


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's protocol, telling the application who the peer is, and holding limits on a request's head.

    The clock of a head runs from the connection's begin, or from the first byte after an answer that was not yet a whole head; whatever
    is left of an answered request's body has to come within the same time.
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
        """Whether this connection takes places of the one who opened it."""
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self.listener.connections.leave(self._counted)
        self._counted = ()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing() or self._refused:  # of a connection that ends nothing more is looked at
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
        if not self._in_head:  # a trailer, which must not be taken for a header (RFC 9110 §6.5.1)
            return
        if len(name) in _CLAIM_LENGTHS and name.lower().replace(b"_", b"-") in _CLAIMS:
            self.on_claim(name, value)
            return
        super().on_header(name, value)

    def on_claim(self, name: bytes, value: bytes) -> None:
        """A field that claims a client's certificate: here the handshake alone says who the client is."""

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_head_timer()
        self.scope[TARGET] = self.url  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def _refuse(self, trouble: Malformed) -> None:
        """Nothing more is read here. The application is told of a request of that address, which it is to refuse for this reason, so that it is
        logged and answered in the caller's protocol; a request in hand, whose body is broken, ends as one whose caller went away."""
        self._refused = True
        if trouble.inside:
            if self.cycle is not None and not self.cycle.response_complete:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self.send_400_response(str(trouble.failure.facts.get("why", "")))
            return
        found = _ADDRESS.match(trouble.head)
        method, address = (found[1], found[2]) if found else (b"GET", b"/")
        self.app = partial(self.listener.refusing, trouble.failure)
        super().data_received(b"%s %s HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n" % (method, address))

    def on_response_complete(self) -> None:
        self._out.flush()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What follows a whole request in the same connection is no HTTP: that request gets its own answer, then the connection ends."""
        cycle = self.cycle
        self._refused = True
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        super().send_400_response(msg)

    def _stays_a_while(self) -> bool:
        """Whether the peer may still be sending; then what comes is read for a while, in moderation, and thrown away."""
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
        transport.resume_reading()  # paused by the next piece, so that a peer who goes on sending costs little
        self._bidding = self.loop.call_later(_FAREWELL_SECONDS / 40, self._farewell, until)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.abort()


class DrainingServer(uvicorn.Server):
    """Stops in two steps: no new connections and `Connection: close` on every answer, then the end."""

    def __init__(self, config: uvicorn.Config, drain_seconds: float, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain
        self._drain_until: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's for sockets that are bound, but that connections are taken by our own acceptor."""
        await self.lifespan.startup()
        config = self.config

        def make() -> asyncio.Protocol:
            protocol: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return protocol

        ones = self.server_state.connections
        self.servers = [Acceptor(each, make, config.ssl, ones, HEAD_SECONDS) for each in sockets or []]  # type: ignore[misc]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if not self.should_exit:
            return await super().on_tick(counter)
        now = time.monotonic()
        if self._drain_until is None:
            self._drain_until = now + self._drain_seconds
            self._on_drain()
            for server in self.servers:
                server.close()
        # Idle connections are closed by uvicorn's own shutdown; those in use get their answer first.
        return self.force_exit or now >= self._drain_until

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, without waiting for the farewell of idle peers: a kept-alive TLS connection may take its time over it."""
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is None or cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """From any thread, or a signal handler."""
        self.should_exit = True

    async def serve_on(self, listener: socket.socket) -> None:
        """Serve until `stop`, leaving signals to the process that owns them."""
        listener.setblocking(False)
        await self._serve([listener])


def tls_context(
    certificate: Path, key: Path, client_authorities: Path, password: bytes | None = None
) -> ssl.SSLContext:
    """A server's context: `certificate` with its chain, and the authorities whose client certificates are understood."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES_12)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(certificate, key, password or b"")  # without one, OpenSSL would ask at the terminal
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(client_authorities)
    return context


def make_server(
    app: Any,
    *,
    context: ssl.SSLContext | None,
    drain_seconds: float,
    on_drain: Callable[[], None],
    answer_seconds: float = 4.0,
    protocol: type[PeerProtocol] = PeerProtocol,
    connections: Connections | None = None,
    refusing: Refusing = plain_refusal,
) -> DrainingServer:
    """`answer_seconds`: how long a request that was taken up may take; a server that stops waits a little longer for it. `connections`:
    how many one certificate, agency or address may hold open. `refusing`: answers what is no request that could be given to `app`."""
    config = uvicorn.Config(
        app,
        http=type(
            protocol.__name__,
            (protocol,),
            {"listener": Listener(connections or Connections(source=64, certificate=128, agency=256), refusing)},
        ),
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,  # ours, which tells no values
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # no edge is trusted by its address
        date_header=True,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=math.ceil(answer_seconds) + 1,
        ssl_context_factory=(lambda _config, _default: context) if context is not None else None,
    )
    return DrainingServer(config, drain_seconds, on_drain)


def bind_unix(path: Path, group: str) -> socket.socket:
    """A listening Unix socket that its owner alone can open, or with `group` the members of that group too."""
    folder = path.parent.stat()
    if folder.st_mode & 0o002 and not folder.st_mode & stat.S_ISVTX:
        raise PermissionError(
            errno.EPERM, f"others may write to {path.parent}, and could put a socket of theirs in this one's place"
        )
    if path.is_socket():
        path.unlink()  # left by an instance that was killed
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    if group:
        shutil.chown(path, group=group)
        path.chmod(0o660)
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def bind(host: str, port: int) -> socket.socket:
    """A listening socket that child processes may inherit; OSError names the address when it is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(1024)
    listener.setblocking(False)
    return listener
