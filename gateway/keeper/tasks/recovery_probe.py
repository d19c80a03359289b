"""Checks whether a system that could not be reached takes connections again: TCP and TLS, no message.

Without it, messages wait for the breaker's rest (up to a minute) and for their own next try (up to five minutes). With
it, a system that listens again is drained within about `PROBE_SECONDS`.
Invariants:
- Only systems that messages wait for are probed, each by one connection at a time.
- A probe says nothing of a system's health: one message goes first, the rest after it (`breaker`, `queue.take_due`).
- A system that listens and still fails is probed ever more rarely, so that its messages keep their tries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from adapters.opening import ConnectionProbe
from gateway.delivery.forwarder import Forwarder
from gateway.delivery.queue import bring_forward, providers_away
from gateway.journal.filelock import FileLock
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.registry.registry import Registry
from gateway.transfer.lease import Lease

PROBE_SECONDS: Final = 2.0
RAREST_SECONDS: Final = 60.0

Probe = Callable[[str, str], Awaitable[bool]]


@dataclass(slots=True)
class _Pace:
    """When a system is probed next, and how long after that."""

    at: float
    pause: float = PROBE_SECONDS


class RecoveryProbe:
    """`probe` says whether a system takes connections (`adapters.opening.ConnectionProbe`)."""

    def __init__(
        self,
        engine: Engine,
        lock: FileLock | None,
        registry: Registry,
        forwarder: Forwarder,
        probe: Probe,
        clock: Callable[[], float],
    ) -> None:
        self._engine: Final = engine
        self._lock: Final = lock
        self._registry: Final = registry
        self._forwarder: Final = forwarder
        self._probe: Final = probe
        self._clock: Final = clock
        self._paces: dict[str, _Pace] = {}

    async def run_once(self, lease: Lease) -> int:
        """Probes those systems whose time has come; returns how many of them listen again."""
        now = self._clock()
        away = await asyncio.to_thread(providers_away, self._engine)
        self._paces = {name: self._paces.get(name) or _Pace(now) for name in away}
        due = [name for name, pace in self._paces.items() if pace.at <= now]
        return sum(await asyncio.gather(*(self._check(name, lease) for name in due)))

    async def _check(self, name: str, lease: Lease) -> bool:
        system = self._registry.snapshot.system(name)
        pace = self._paces[name]
        if system is None or not system.active or system.endpoint is None:
            pace.at = self._clock() + RAREST_SECONDS
            return False
        listens = await self._probe(system.endpoint.url, name)
        pace.at = self._clock() + pace.pause
        if listens:
            pace.pause = min(pace.pause * 2, RAREST_SECONDS)
            self._forwarder.listens(name)
            await asyncio.to_thread(bring_forward, self._engine, self._lock, lease, name, self._clock())
        return listens


def _probe(services: KeeperServices) -> RecoveryProbe:
    return RecoveryProbe(
        services.engine,
        services.lock,
        services.registry,
        services.forwarder,
        ConnectionProbe(services.peers),
        services.clock,
    )


TASK = PeriodicTask("systems that were away are not looked for", _probe, PROBE_SECONDS / 2)
