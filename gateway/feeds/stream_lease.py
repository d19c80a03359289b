"""Says how long a stream of events goes on: for its lease, and until its process stops. Doors and desk share it.

Invariant: a stream that waits ends within `arrivals.LOOK` seconds of the stop of its process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Literal

from contracts.base.errors import Failure
from gateway.feeds.arrivals import Arrivals
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot

HEARTBEAT: Final = 15.0  # seconds
Reason = Literal["stopping", "lease"]


class StreamLease:
    """Of one stream; it begins now. `stopping`: whether the process ends."""

    def __init__(self, seconds: float, stopping: Callable[[], bool], arrivals: Arrivals, registry: Registry) -> None:
        self.stopping: Final = stopping
        self._arrivals: Final = arrivals
        self._registry: Final = registry
        self._until: Final = asyncio.get_running_loop().time() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self._until - asyncio.get_running_loop().time()

    def over(self) -> Reason | None:
        """Why the stream ends now."""
        if self.stopping():
            return "stopping"
        return "lease" if self.left <= 0 else None

    async def wait(self, offsets: Mapping[str, int], snapshot: Snapshot) -> bool:
        """Whether something came after these offsets, within HEARTBEAT. Ends early if the process stops, or if the
        registry is no longer as in `snapshot`.
        """

        def ended() -> bool:
            try:
                return self.stopping() or self._registry.snapshot is not snapshot
            except Failure:  # raised again where the stream judges
                return True

        return await self._arrivals.after(offsets, min(HEARTBEAT, self.left), ended)
