"""Free ports of the loopback for the instances of the demo, of measures and of tests."""

from __future__ import annotations

import random
import socket
from typing import Final

from gateway.sandbox.ports import is_free

# Below the range of outgoing connections, any of which could take a port before its listener opens.
_SINGLE: Final = range(11_000, 15_000, 2)  # each with its guard, the port after it
_BLOCK: Final = 50  # an instance with its stand-ins and agents
_BLOCKS: Final = range(15_000, 32_000, _BLOCK)
_guards: Final[list[socket.socket]] = []


def free_port() -> int:
    """A port of the loopback that nobody listens on now. No other draw gets it before this process ends.

    Raises OSError where all are taken.
    """
    return _drawn(_SINGLE)


def free_ports(count: int) -> list[int]:
    """The first ports of a block in which nobody listens now. Stand-ins and agents use the following ports.

    Two draws never share a block, even if their listeners open seconds later.
    Raises OSError where all are taken.
    """
    first = _drawn(_BLOCKS)
    return [*range(first, first + count)]


def _drawn(firsts: range) -> int:
    """The first port of a part of the range that no other draw has. Its last port is held until this process ends."""
    for first in random.sample(firsts, len(firsts)):
        guard = _held(first + firsts.step - 1)
        if guard is None:
            continue
        if all(map(is_free, range(first, first + firsts.step - 1))):
            _guards.append(guard)
            return first
        guard.close()
    raise OSError(f"all ports from {firsts.start} to {firsts.stop} of the loopback are taken")


def _held(port: int) -> socket.socket | None:
    """The port, bound without listening and without SO_REUSEADDR, so no other draw gets it. None if it is taken."""
    guard = socket.socket()
    try:
        guard.bind(("127.0.0.1", port))
    except OSError:
        guard.close()
        return None
    return guard
