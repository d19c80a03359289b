"""The way of one machine to the database: relays on the loopback, which can be cut or stalled.

They are a process of their own, so that a busy test does not slow a machine down. It ends with its input.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_PIECE: Final = 65_536
_FLOW, _STALLED, _CUT = "flow", "stalled", "cut"


class Way:
    """One relay for each of these ports; `ports` are those of the relays, in the same order.

    `cut`: connections end, and new ones are refused. `stall`: sockets stay open, new ones are taken, no byte passes.
    """

    def __init__(self, targets: Sequence[int]) -> None:
        command = [sys.executable, "-m", "tests.journal.relay", *map(str, targets)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.ports = [int(port) for port in self._answer().split()]

    def __enter__(self) -> Way:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)

    def cut(self) -> None:
        self._become(_CUT)

    def stall(self) -> None:
        self._become(_STALLED)

    def flow(self) -> None:
        self._become(_FLOW)

    def _become(self, state: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{state}\n")
        assert self._answer() == state, "the relay does not answer"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class _Relays:
    """In the process of their own."""

    def __init__(self, targets: Sequence[int]) -> None:
        self._state = _FLOW
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._waiting: list[socket.socket] = []  # read nothing from them until the flow goes on
        self._listeners = {socket.create_server(("127.0.0.1", 0), backlog=128): target for target in targets}
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        print(*(listener.getsockname()[1] for listener in self._listeners), flush=True)

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                one = key.fileobj
                if not isinstance(one, socket.socket):
                    told = os.read(sys.stdin.fileno(), 64)
                    if not told:
                        return
                    self._become(told.decode().strip())
                elif one in self._listeners:
                    self._accept(one)
                elif one in self._peers:
                    self._pass(one)

    def _become(self, state: str) -> None:
        self._state = state
        if state == _CUT:
            while self._peers:
                self._close(next(iter(self._peers)))
        elif state == _FLOW:
            for one in self._waiting:
                if one in self._peers:
                    self._selector.register(one, selectors.EVENT_READ)
            self._waiting.clear()
        print(state, flush=True)

    def _accept(self, listener: socket.socket) -> None:
        ours, _ = listener.accept()
        try:
            if self._state == _CUT:
                raise ConnectionRefusedError
            theirs = socket.create_connection(("127.0.0.1", self._listeners[listener]), timeout=5)
        except OSError:
            ours.close()
            return
        for one, other in ((ours, theirs), (theirs, ours)):
            one.settimeout(60)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass(self, one: socket.socket) -> None:
        if self._state == _STALLED:
            self._selector.unregister(one)
            self._waiting.append(one)
            return
        try:
            piece = one.recv(_PIECE)
            if piece:
                self._peers[one].sendall(piece)
                return
        except OSError:
            pass
        self._close(one)

    def _close(self, one: socket.socket) -> None:
        for each in (one, self._peers.pop(one)):
            self._peers.pop(each, None)
            with suppress(KeyError, ValueError):
                self._selector.unregister(each)
            each.close()


if __name__ == "__main__":
    _Relays([int(port) for port in sys.argv[1:]]).run()
