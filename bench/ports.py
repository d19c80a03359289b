"""Free ports of the loopback for the instances of the demo, of measures and of tests."""

from __future__ import annotations

import random
import socket
from typing import Final

from gateway.sandbox.ports import is_free

# Below the range of outgoing connections, any of which could take a port before its listener opens.
_RANGE: Final = range(15_000, 32_000)
_BLOCK: Final = 50  # an instance with its stand-ins and agents
_guards: Final[list[socket.socket]] = []


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    while True:
        port = random.choice(_RANGE)  # noqa: S311 (no secret)
        if is_free(port) and is_free(port - (port - _RANGE[0]) % _BLOCK + _BLOCK - 1):  # in no block that was drawn
            return port


def free_ports(count: int) -> list[int]:
    """The first ports of a block in which nobody listens now. Stand-ins and agents use the following ports.

    The block's last port is held until this process ends. So two draws never share a block, even if their listeners
    open seconds later.
    """
    while True:
        first = random.choice(_RANGE[::_BLOCK])  # noqa: S311 (no secret)
        guard = _held(first + _BLOCK - 1)
        if guard is None:
            continue
        if all(map(is_free, range(first, first + _BLOCK - 1))):
            _guards.append(guard)
            return [*range(first, first + count)]
        guard.close()


def _held(port: int) -> socket.socket | None:
    """The port, bound without listening and without SO_REUSEADDR, so no other draw gets it. None if it is taken."""
    guard = socket.socket()
    try:
        guard.bind(("127.0.0.1", port))
    except OSError:
        guard.close()
        return None
    return guard
