"""What the doors do each in its own way: bytes to message, and where a costly body is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from gateway.transfer.stages import Addressed, Authenticated, Authorised, Message, Requested

T = TypeVar("T")


class Door(Protocol):
    """What differs between the doors: bytes to message."""

    def authenticate(self, addressed: Addressed) -> Authenticated: ...

    def request(self, authenticated: Authenticated) -> Requested: ...

    def decode(self, authorised: Authorised) -> Message: ...


class Reading(Protocol):
    """Has the work of a door on a costly body done off the event loop."""

    async def run(self, work: Callable[..., T], *of: Any) -> T: ...

    async def decode(self, authorised: Authorised) -> Message: ...

    def end(self) -> None:
        """Nothing more of the body is read."""
