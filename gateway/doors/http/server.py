"""Runs the HTTP server of a listener: uvicorn with httptools, and a shutdown that loses no request.

TLS 1.2 with AEAD and forward secrecy at least (RFC 9325); 1.3 is preferred. A stopping server closes its listener,
answers `Connection: close` for a while, then ends. `acceptor.py` handles a lack of descriptors.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.doors.http import peer_protocol
from gateway.doors.http.acceptor import Acceptor
from gateway.doors.http.limits import Connections
from gateway.doors.http.peer_protocol import Listener, PeerProtocol, Refusing, plain_refusal
from gateway.doors.http.uvicorn_parts import Config, Server
from security.pki.tls import SUITES_12


class DrainingServer(Server):
    """Stops in two steps: no new connections and `Connection: close` on every answer, then the end."""

    def __init__(self, config: Config, drain_seconds: float, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain
        self._drain_until: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's for bound sockets, but with our acceptor."""
        await self.lifespan.startup()
        config = self.config

        def make() -> asyncio.Protocol:
            protocol: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return protocol

        ones = self.server_state.connections
        self.servers = [Acceptor(each, make, config.ssl, ones, peer_protocol.HEAD_SECONDS) for each in sockets or []]  # type: ignore[misc]
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
        # uvicorn's shutdown closes idle connections; those in use get their answer first.
        return self.force_exit or now >= self._drain_until

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but without a TLS shutdown for idle peers, which may be slow."""
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is None or cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """May be called from any thread, or a signal handler."""
        self.should_exit = True

    async def serve_on(self, listener: socket.socket) -> None:
        """Serves until `stop`. Signals stay with the process that owns them."""
        listener.setblocking(False)
        await self._serve([listener])


def tls_context(
    certificate: Path, key: Path, client_authorities: Path | None, password: bytes | None = None
) -> ssl.SSLContext:
    """A server's context: `certificate` with its chain, and the authorities of client certificates; None: clients are
    not asked for any.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES_12)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(certificate, key, password or b"")  # None would make OpenSSL ask at the terminal
    if client_authorities is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(client_authorities)
    return context


@dataclass(frozen=True, slots=True)
class Reading:
    """How bytes become requests. `connections`: limits by certificate, agency and address; `refusing`: answers
    malformed input."""

    protocol: type[PeerProtocol] = PeerProtocol
    connections: Connections | None = None
    refusing: Refusing = plain_refusal


def make_server(
    app: Any,
    *,
    context: ssl.SSLContext | None,
    drain_seconds: float,
    on_drain: Callable[[], None],
    answer_seconds: float = 4.0,
    reading: Reading = Reading(),
) -> DrainingServer:
    """A server for `app`. `answer_seconds`: how long a request may take; a stopping server waits a little longer."""
    protocol, connections = reading.protocol, reading.connections or Connections(source=64, certificate=128, agency=256)
    config = Config(
        app,
        http=type(
            protocol.__name__,
            (protocol,),
            {"listener": Listener(connections, reading.refusing)},
        ),
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,  # the gateway's own, without values
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # no proxy is trusted by its address
        date_header=True,
        headers=[("x-frame-options", "DENY")],  # of every answer of every listener: no page is shown within another
        timeout_keep_alive=65,
        timeout_graceful_shutdown=math.ceil(answer_seconds) + 1,
        ssl_context_factory=(lambda _config, _default: context) if context is not None else None,
    )
    return DrainingServer(config, drain_seconds, on_drain)
