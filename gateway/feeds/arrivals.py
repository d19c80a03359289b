"""Wakes readers that wait for the next event of a feed (`wait` of `/feeds`).

One look at the database serves all readers of a process. Nothing looks while nobody waits, and seldom while new events
wake it (`gateway.journal.wakes`).
Invariant: a waiting reader holds no thread and no connection of the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from gateway.journal.wakes import FEED, Waker, waker

LOOK: Final = 0.2  # seconds between two looks while nothing wakes
Look = Callable[[Collection[str]], Awaitable[Mapping[str, int]]]  # the newest offset of each of these feeds


@dataclass(slots=True, eq=False)
class _Waiting:
    offsets: Mapping[str, int]
    ended: Callable[[], bool]
    found: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Arrivals:
    """Of one process, for its event loop. `look` asks the database of `engine`."""

    engine: Engine
    look: Look
    _waiting: set[_Waiting] = field(default_factory=set)
    _looking: asyncio.Task[None] | None = None
    _waker: Waker | None = None

    async def after(self, offsets: Mapping[str, int], seconds: float, ended: Callable[[], bool]) -> bool:
        """Returns once one of the feeds has an event after its offset, or so many seconds later; whether there is one.
        `ended`: do not wait on, as when the process stops. Raises what the look raised.
        """
        each = _Waiting(offsets, ended)
        self._waiting.add(each)
        if self._waker is None:
            self._waker = waker(self.engine, FEED)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run(self._waker))
        elif self._waker.connected:
            self._waker.wake()  # something may have come since this reader looked, and may have woken the others
        woken = asyncio.create_task(each.arrived.wait())
        try:
            done, _ = await asyncio.wait({woken, self._looking}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if self._looking in done and not each.arrived.is_set():
                self._looking.result()
        finally:
            woken.cancel()
            self._waiting.discard(each)
        return each.found

    async def _run(self, waker: Waker) -> None:
        while self._waiting:
            newest = await self.look({contract for each in self._waiting for contract in each.offsets})
            for each in self._waiting:
                each.found = any(newest.get(name, 0) > offset for name, offset in each.offsets.items())
            self._release()
            left = waker.pause(LOOK)
            while left > 0 and not await waker.wait(min(left, LOOK)):
                left -= LOOK
                self._release()

    def _release(self) -> None:
        for each in tuple(self._waiting):
            if each.found or each.ended():
                each.arrived.set()
                self._waiting.discard(each)
