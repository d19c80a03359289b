"""Ports of the loopback for what a sandbox starts."""

from __future__ import annotations

import random
import socket
import sys
from typing import Final

# Below what systems give to outgoing connections, any of which could take a port before its listener is there.
_RANGE: Final = range(15_000, 32_000)
_BLOCK: Final = 50  # an instance with its stand-ins and agents
_guards: Final[list[socket.socket]] = []


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    while True:
        port = random.choice(_RANGE)  # noqa: S311 (no secret)
        if _free(port) and _free(port - (port - _RANGE[0]) % _BLOCK + _BLOCK - 1):  # in no block that somebody drew
            return port


def free_ports(count: int) -> list[int]:
    """The first ports of a block in which nobody listens just now: what is started beside an instance follows its own.

    The block's last port is held until this process ends. So no two draws share a block, also where their listeners are there only seconds later.
    """
    while True:
        first = random.choice(_RANGE[::_BLOCK])  # noqa: S311 (no secret)
        guard = _held(first + _BLOCK - 1)
        if guard is None:
            continue
        if all(map(_free, range(first, first + _BLOCK - 1))):
            _guards.append(guard)
            return [*range(first, first + count)]
        guard.close()


def _held(port: int) -> socket.socket | None:
    """The port, taken without listening and without SO_REUSEADDR, so that no other draw can take it; None where it is taken."""
    guard = socket.socket()
    try:
        guard.bind(("127.0.0.1", port))
    except OSError:
        guard.close()
        return None
    return guard


def next_free(port: int) -> int:
    """The first from there on that nobody listens on just now."""
    while not _free(port):
        port += 1
    return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
