"""Looking whether a system that could not be reached is back: a connection with its handshake, and no message.

Messages that wait for such a system would else be tried by chance: after its breaker's rest (up to a minute) and their own wait (up to five). With
this, a system that listens again is drained within `KNOCK_SECONDS` and a little more, whatever they had come to.
Invariants: only systems that messages wait for are knocked at, each by one connection at a time; a knock says nothing of a system's health: one message
goes ahead, the rest after it (`breaker`, `queue.take_due`). A system that listens and yet fails is knocked at ever more rarely, so that
it does not use up the tries of its messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from gateway.delivery.forwarder import Forwarder
from gateway.delivery.queue import Leading, bring_forward, providers_away
from gateway.journal.filelock import FileLock
from gateway.registry.registry import Registry

KNOCK_SECONDS: Final = 2.0
RAREST_SECONDS: Final = 60.0

Knock = Callable[[str], Awaitable[bool]]


@dataclass(slots=True)
class _Pace:
    """When a system is knocked at next, and how long after that."""

    at: float
    pause: float = KNOCK_SECONDS


class RecoveryProbe:
    """A chore of the keeper. `knock` tells whether an address takes connections (`adapters.http.Knocker`)."""

    def __init__(
        self,
        engine: Engine,
        lock: FileLock | None,
        registry: Registry,
        forwarder: Forwarder,
        knock: Knock,
        clock: Callable[[], float],
    ) -> None:
        self._engine: Final = engine
        self._lock: Final = lock
        self._registry: Final = registry
        self._forwarder: Final = forwarder
        self._knock: Final = knock
        self._clock: Final = clock
        self._paces: dict[str, _Pace] = {}
        self._look_at = 0.0

    async def run_once(self, lease: Leading) -> int:
        """Knock where it is time; how many systems were found to be back."""
        now = self._clock()
        if now < self._look_at:
            return 0
        self._look_at = now + KNOCK_SECONDS / 2
        away = await asyncio.to_thread(providers_away, self._engine)
        self._paces = {name: self._paces.get(name) or _Pace(now) for name in away}
        due = [name for name, pace in self._paces.items() if pace.at <= now]
        return sum(await asyncio.gather(*(self._look(name, lease) for name in due)))

    async def _look(self, name: str, lease: Leading) -> bool:
        system = self._registry.snapshot.system(name)
        pace = self._paces[name]
        if system is None or not system.active or system.endpoint is None:
            pace.at = self._clock() + RAREST_SECONDS
            return False
        back = await self._knock(system.endpoint.url)
        pace.at = self._clock() + pace.pause
        if back:
            pace.pause = min(pace.pause * 2, RAREST_SECONDS)
            self._forwarder.listens(name)
            await asyncio.to_thread(bring_forward, self._engine, self._lock, lease, name, self._clock())
        return back
