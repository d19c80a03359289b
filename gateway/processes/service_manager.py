"""Tells the service manager how the supervisor stands: ready, reloading, stopping, alive (sd_notify(3) of systemd).

`NOTIFY_SOCKET` names a datagram socket, in the file system or (with `@`) abstract. Without it nothing is sent.
Invariant: trouble with the socket never reaches the supervisor: a gateway that works goes on.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

_ALIVE_PART: Final = 0.4  # of the time after which the manager ends a silent service


class ServiceManager:
    """The manager that the environment names, if it does."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        self._address = given.get("NOTIFY_SOCKET", "")
        self._every = _ALIVE_PART * _microseconds(given.get("WATCHDOG_USEC")) / 1e6
        self._told = time.monotonic()

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Called often; tells it as often as the manager asked for, if it did."""
        if self._every and time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as there:
            there.setblocking(False)
            there.sendto(text.encode("ascii"), address)


def _microseconds(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0
