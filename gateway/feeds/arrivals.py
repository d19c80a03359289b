"""Wakes readers that wait for the next event of a feed (`wait` of `/feeds`).

One look at the database serves all readers of a process. Nothing looks while nobody waits.
Invariant: a waiting reader holds no thread and no connection of the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

LOOK: Final = 0.2  # seconds between two looks
Look = Callable[[Collection[str]], Awaitable[Mapping[str, int]]]  # the newest offset of each of these feeds


@dataclass(slots=True, eq=False)
class _Waiting:
    contract: str
    offset: int
    ended: Callable[[], bool]
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Arrivals:
    """Of one process, for its event loop."""

    look: Look
    _waiting: set[_Waiting] = field(default_factory=set)
    _looking: asyncio.Task[None] | None = None

    async def after(self, contract: str, offset: int, seconds: float, ended: Callable[[], bool]) -> None:
        """Returns once the feed has an event after the offset, or so many seconds later. `ended`: do not wait on, since
        the process stops. Raises what the look raised.
        """
        each = _Waiting(contract, offset, ended)
        self._waiting.add(each)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run())
        woken = asyncio.create_task(each.arrived.wait())
        try:
            done, _ = await asyncio.wait({woken, self._looking}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if self._looking in done and not each.arrived.is_set():
                self._looking.result()
        finally:
            woken.cancel()
            self._waiting.discard(each)

    async def _run(self) -> None:
        while self._waiting:
            newest = await self.look({each.contract for each in self._waiting})
            for each in tuple(self._waiting):
                if newest.get(each.contract, 0) > each.offset or each.ended():
                    each.arrived.set()
                    self._waiting.discard(each)
            await asyncio.sleep(LOOK)
