"""Looks whether each component system takes connections: TCP and TLS as in a call, but nothing is sent.

A system that takes none for a while raises an alarm.

Invariant: only the registered endpoint is called. A system that is suspended, or receives no calls, is not probed.
Invariant: nor is one while an outage lasts that its agency announced in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from gateway.cases.outages import out_of_service
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.watch import probes
from gateway.watch.alarms import Condition, Kind, Look, settle

AT_ONCE: Final = 16
Probe = Callable[[str, str], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """`probe` says whether a system takes connections (`adapters.opening.ConnectionProbe`)."""

    engine: Engine
    lock: FileLock | None
    registry: Registry
    probe: Probe
    clock: Callable[[], float]
    hold: float  # seconds that a system must be away before an alarm is raised

    async def run_once(self, lease: Lease) -> int:
        """Probes each system once, and counts what came of it."""
        results = await self._round(await asyncio.to_thread(self._out))
        await asyncio.to_thread(self._record, results, lease)
        return 0

    def _out(self) -> frozenset[str]:
        with self.engine.connect() as connection:
            return out_of_service(connection, self.registry.snapshot, self.clock())

    async def _round(self, out: frozenset[str]) -> Mapping[str, bool]:
        few = asyncio.Semaphore(AT_ONCE)

        async def ask(system: str, url: str) -> bool:
            async with few:
                return await self.probe(url, system)

        systems = self.registry.snapshot.systems.values()
        probed = (each for each in systems if each.active and each.id not in out)
        urls = {each.id: each.endpoint.url for each in probed if each.endpoint is not None}
        return dict(zip(urls, await asyncio.gather(*map(ask, urls, urls.values())), strict=True))

    def _record(self, results: Mapping[str, bool], lease: Lease) -> None:
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            now = self.clock()
            probes.record(connection, results, now)
            away = [Condition(system, "", now, {}) for system, answered in sorted(results.items()) if not answered]
            settle(connection, Kind.DOWN, away, Look(self.registry.snapshot, now, self.hold))
