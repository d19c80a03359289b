"""One persistent HTTPS connection per thread, which sends exactly the given bytes.

Invariant: a request is written at most once. A connection that the server closed while idle is noticed before
writing. So no signed request, which is valid for one use, is sent twice.
"""

from __future__ import annotations

import contextlib
import http.client
import selectors
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.sample_client.errors import NoAnswer

MOST_BYTES: Final = 64_000_000  # of an answer's body


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An HTTP answer as received. Header names in lower case, repeated ones joined."""

    status: int
    headers: dict[str, str]
    body: bytes


class Transport:
    """Connections to one address under one TLS context."""

    def __init__(self, base: str, context: ssl.SSLContext, timeout: float = 30.0) -> None:
        parts = urlsplit(base)
        if parts.scheme != "https" or not parts.hostname:
            raise NoAnswer(f"{base} is not an https address")
        self._host, self._port = parts.hostname, parts.port or 443
        self._context, self._timeout = context, timeout
        self._local = threading.local()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> RawAnswer:
        connection = self._connection()
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value.encode("utf-8"))
            if body or method not in ("GET", "HEAD", "DELETE"):
                connection.putheader("content-length", str(len(body)))
            # a server may answer before it read everything (a body over the limit); its answer counts
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(body or None)
            answer = connection.getresponse()
            content = answer.read(MOST_BYTES + 1)  # bounded: the stated length is the other side's claim
            if len(content) > MOST_BYTES:
                raise http.client.HTTPException(f"an answer of more than {MOST_BYTES} bytes")
            if answer.length:
                raise http.client.IncompleteRead(content, answer.length)
        except (OSError, http.client.HTTPException, ValueError, OverflowError) as broken:
            self.close()
            raise NoAnswer(f"{self._host}:{self._port} did not answer: {type(broken).__name__}: {broken}") from broken
        if answer.will_close:
            self.close()
        joined: dict[str, str] = {}
        for name, value in answer.getheaders():
            name = name.lower()
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return RawAnswer(answer.status, joined, content)

    def close(self) -> None:
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.connection = None

    def _connection(self) -> http.client.HTTPSConnection:
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        # readable before a request: the server closed it
        if connection is not None and connection.sock is not None and readable(connection.sock):
            self.close()
            connection = None
        if connection is None:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=self._context
            )
            self._local.connection = connection
        return connection


def readable(sock: socket.socket) -> bool:
    """Not by `select()`, which refuses descriptors above 1023: a client within a larger program may have more."""
    with (selectors.PollSelector if hasattr(selectors, "PollSelector") else selectors.SelectSelector)() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))
