"""Seals the periods of the feeds (`gateway.feeds.sealing`), with at most a fifth of one core."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.feeds.sealing import Sealing
from gateway.keeper.periodic import PeriodicTask
from gateway.transfer.lease import Lease

_IDLE: Final = 2.0  # seconds
_WORK_SECONDS: Final = 0.05  # at a stretch
_REST: Final = 4.0  # times as long as the work before it


class FeedDigests:
    """Keeps its own pace, so that it never asks to be run again at once."""

    def __init__(self, sealing: Sealing, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sealing: Final = sealing
        self._monotonic: Final = monotonic
        self._next = 0.0

    async def run_once(self, lease: Lease) -> int:
        began = now = self._monotonic()
        if began < self._next:
            return 0
        busy = True
        while busy and now - began < _WORK_SECONDS:
            busy = await asyncio.to_thread(self._sealing.step, lease)
            now = self._monotonic()
        self._next = now + (_REST * (now - began) if busy else _IDLE)
        return 0


TASK = PeriodicTask(
    "the periods of the feeds are not sealed",
    lambda services: FeedDigests(Sealing(services.engine, services.lock, services.clock)),
)
