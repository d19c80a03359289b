"""Defines what differs between the doors: bytes to message, and where a costly body is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from gateway.transfer.stages import Addressed, Authenticated, Authorised, Message, Requested

T = TypeVar("T")


class Door(Protocol):
    """Turns the bytes of one protocol into a message."""

    def authenticate(self, addressed: Addressed) -> Authenticated: ...

    def request(self, authenticated: Authenticated) -> Requested: ...

    def decode(self, authorised: Authorised) -> Message: ...

    def here(self, requested: Requested, paths: Sequence[str]) -> str:
        """Where the sender's own message has these canonical paths (`values[2].area`); empty if it has no place."""


class Reading(Protocol):
    """Runs the work of a door on a costly body off the event loop."""

    async def run(self, work: Callable[..., T], *of: Any) -> T: ...

    async def decode(self, authorised: Authorised) -> Message: ...

    def end(self) -> None:
        """Releases the reader: the body is not read again."""
