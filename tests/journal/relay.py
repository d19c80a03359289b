"""The way of one machine to the database: relays on the loopback, which can be cut or stalled."""

from __future__ import annotations

import selectors
import socket
import threading
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
        self._state = _FLOW
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._listeners: dict[socket.socket, int] = {}
        self._waiting: list[socket.socket] = []  # read nothing from them until the flow goes on
        for target in targets:
            listener = socket.create_server(("127.0.0.1", 0), backlog=128)
            self._listeners[listener] = target
        self.ports = [listener.getsockname()[1] for listener in self._listeners]
        self._wake, self._woken = socket.socketpair()
        self._changed = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="relay")

    def __enter__(self) -> Way:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._tell()
        self._thread.join(60)

    def cut(self) -> None:
        self._become(_CUT)

    def stall(self) -> None:
        self._become(_STALLED)

    def flow(self) -> None:
        self._become(_FLOW)

    def _become(self, state: str) -> None:
        self._state = state
        self._changed.clear()
        self._tell()
        assert self._changed.wait(60), "the relay does not answer"

    def _tell(self) -> None:
        self._wake.send(b"x")

    # --- in its thread ------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        self._selector.register(self._woken, selectors.EVENT_READ)
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ)
        while not self._ending:
            for key, _ in self._selector.select():
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if one is self._woken:
                    self._woken.recv(64)
                    self._apply()
                elif one in self._listeners:
                    self._accept(one)
                elif one in self._peers:
                    self._pass(one)
        for each in [*self._peers, *self._listeners, self._wake, self._woken]:
            each.close()
        self._selector.close()

    def _apply(self) -> None:
        if self._state == _CUT:
            while self._peers:
                self._close(next(iter(self._peers)))
        elif self._state == _FLOW:
            for one in self._waiting:
                if one in self._peers:
                    self._selector.register(one, selectors.EVENT_READ)
            self._waiting.clear()
        self._changed.set()

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
