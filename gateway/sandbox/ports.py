"""Ports of the loopback for what a sandbox starts."""

from __future__ import annotations

import random
import socket
import sys
from typing import Final

# Below what systems give to outgoing connections, any of which could take a port before its listener is there.
_RANGE: Final = range(15_000, 32_000)
_BLOCK: Final = 50  # an instance with its stand-ins and agents


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    while True:
        port = random.choice(_RANGE)  # noqa: S311 (no secret)
        if _free(port):
            return port


def free_ports(count: int) -> list[int]:
    """The first ports of a block in which nobody listens just now: what is started beside an instance follows its own."""
    while True:
        first = random.choice(_RANGE[:-_BLOCK])  # noqa: S311 (no secret)
        if all(map(_free, range(first, first + _BLOCK))):
            return [*range(first, first + count)]


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
