"""Registers each request before it is read, so that recovery knows the calls of a dead door
(`gateway.journal.taken_up`).

A call is registered from its head until the door is done with it. Recovery skips calls with an entry in the log, which
names the caller. A fenced door's calls stay registered, since it could log nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts.base.ids import new_id
from gateway.doors.http.body import Scope
from gateway.doors.http.channel import mark_of
from gateway.journal.taken_up import NOWHERE, Call, Register
from gateway.journal.writer import Journal

TRANSFER: Final = "lgsp.transfer"  # in the scope: the id of the request, in register and log
TAKEN_AT: Final = "lgsp.taken-at"  # in the scope: arrival in Unix seconds, also in the id
_UNLOGGED: Final = ("/healthz", "/readyz")


@dataclass(slots=True)
class TakenUp:
    """Without `register`, nothing is registered."""

    register: Register | None = None
    journal: Journal | None = None

    def enter(self, scope: Scope, now: float) -> int:
        """Gives the request its id and registers it. Returns the slot for `leave`."""
        transfer = scope[TRANSFER] = new_id(int(now * 1000))
        scope[TAKEN_AT] = now
        if self.register is None or scope["path"] in _UNLOGGED:
            return NOWHERE
        certificate = scope["extensions"].get("tls", {}).get("client_cert_der")
        peer = scope.get("client")
        size = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        return self.register.take(
            Call(
                transfer=transfer,
                at=now,
                source=str(peer[0]) if peer else "",
                certificate=mark_of(certificate) if certificate else "",
                method=scope["method"],
                path=scope["path"],
                size=int(size) if size.isdigit() and len(size) < 16 else None,
            )
        )

    def leave(self, slot: int) -> None:
        if self.register is not None and not (self.journal is not None and self.journal.fenced):
            self.register.done(slot)
