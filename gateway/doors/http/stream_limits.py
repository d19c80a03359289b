"""Limits the open streams of one door process, by agency and in all.

Invariant: a stream that nobody holds any more is not counted.
"""

from __future__ import annotations

from typing import Final
from weakref import WeakSet

from gateway.doors.http.errors import LIMIT_DOOR_STREAMS, LIMIT_STREAMS
from gateway.signals import meters

RETRY_SECONDS: Final = 5


class Streams:
    """The open streams of one process."""

    def __init__(self, agency: int, door: int) -> None:
        """`agency`, `door`: the most streams of one agency, and of all."""
        self._agency: Final = agency
        self._door: Final = door
        self._open: dict[str, WeakSet[object]] = {}
        self._all: WeakSet[object] = WeakSet()

    def enter(self, stream: object, agency: str) -> None:
        """Raises `limit.streams`, `limit.door-streams`."""
        own = self._open.setdefault(agency, WeakSet())
        if len(own) >= self._agency:
            meters.limit("streams")
            raise LIMIT_STREAMS(agency=agency, most=self._agency, retry_after=RETRY_SECONDS)
        if len(self._all) >= self._door:
            meters.limit("door-streams")
            raise LIMIT_DOOR_STREAMS(most=self._door, retry_after=RETRY_SECONDS)
        own.add(stream)
        self._all.add(stream)

    def leave(self, stream: object, agency: str) -> None:
        self._all.discard(stream)
        own = self._open.get(agency)
        if own is not None:
            own.discard(stream)
            if not own:
                del self._open[agency]

    def __len__(self) -> int:
        return len(self._all)
