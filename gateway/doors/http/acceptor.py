"""Accepts connections from a listening socket, up to the process's descriptors.

libuv closes connections that it cannot hold. Here they stay in the kernel's backlog until a descriptor is free.
Invariant: open connections are not touched, and a failed accept is not retried within `_PAUSE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import socket
import ssl
from collections.abc import Callable, Sized
from typing import Final

log: Final = logging.getLogger("lgsp.acceptor")
_AT_ONCE: Final = 8  # connections accepted in one turn of the loop
_PAUSE: Final = 0.1  # seconds
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_MOST: Final = 65_536
_OWN: Final = 96  # descriptors for the database, providers, files and the reader; at most a third
_WARN_SECONDS: Final = 60.0


def allow_descriptors() -> None:
    """Raises the soft limit of descriptors as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def places() -> int:
    """Connections that may be open at once. Leaves descriptors for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = _MOST
    return max(1, soft - max(min(_OWN, soft // 3), 8))


class Acceptor:
    """One listening socket. `open_ones` holds the connections after their handshake, which may take
    `handshake_seconds`.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        open_ones: Sized,
        handshake_seconds: float,
    ) -> None:
        self._listener = listener
        self._make = make
        self._context = context
        self._open = open_ones
        self._seconds = handshake_seconds
        self._most = places()
        self._begun: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._warned = float("-inf")
        self._pausing: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop.add_reader(listener.fileno(), self._take)

    def _take(self) -> None:
        for _ in range(_AT_ONCE):
            if len(self._open) + len(self._begun) >= self._most:
                self._pause(f"all {self._most} connections that this process may hold are open")
                return
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as trouble:
                if trouble.errno not in _FULL:
                    log.exception("a connection could not be taken")
                self._pause(f"a connection could not be taken: {trouble.strerror}")
                return
            task = self._loop.create_task(self._begin(connection))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)

    async def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        seconds = self._seconds if self._context is not None else None
        try:
            await self._loop.connect_accepted_socket(
                self._make, connection, ssl=self._context, ssl_handshake_timeout=seconds
            )
        except (OSError, EOFError):  # no handshake
            connection.close()
        except BaseException:
            connection.close()
            raise

    def _pause(self, why: str) -> None:
        now = self._loop.time()
        if now - self._warned >= _WARN_SECONDS:
            self._warned = now
            log.warning("%s; others wait", why)
        self._loop.remove_reader(self._listener.fileno())
        self._pausing = self._loop.call_later(_PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._pausing = None
        if not self._closed:
            self._loop.add_reader(self._listener.fileno(), self._take)

    def close(self) -> None:
        """Stops accepting."""
        if self._closed:
            return
        self._closed = True
        if self._pausing is not None:
            self._pausing.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()

    async def wait_closed(self) -> None:
        for task in list(self._begun):
            task.cancel()
