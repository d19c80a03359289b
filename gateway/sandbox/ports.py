"""Free ports of the loopback for a sandbox."""

from __future__ import annotations

import socket
import sys


def next_free(port: int) -> int:
    """The first port from `port` on that nobody listens on now."""
    while not is_free(port):
        port += 1
    return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
