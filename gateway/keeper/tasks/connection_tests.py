"""Runs the connection tests that people asked for at the desk (`gateway.keeper.connection_test`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from sqlalchemy import Engine

from adapters.opening import Peers
from gateway.audit.search.search import Query, reading, search
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.jobs import DONE, Job
from gateway.journal.wakes import ORDERS
from gateway.keeper.connection_test import ConnectionTest
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease

KIND: Final = "connection-test"
SECONDS: Final = 1.0
OLD: Final = 120.0  # nobody waits any more for a test that was asked for so long ago


@dataclass(slots=True)
class ConnectionTests:
    engine: Engine
    lock: FileLock | None
    registry: Registry
    peers: Peers
    clock: Callable[[], float]
    _more: bool = True  # whether one was asked for, at the last run
    topic: ClassVar[str] = ORDERS

    async def run_once(self, lease: Lease) -> int:
        asked = await asyncio.to_thread(self._asked)
        await asyncio.gather(*(self._test(job, lease) for job in asked[:4]))
        self._more = bool(asked)
        return 0

    def rests(self) -> bool:
        return not self._more

    def _asked(self) -> list[Job]:
        with self.engine.connect() as connection:
            return jobs.running(connection, KIND)

    async def _test(self, job: Job, lease: Lease) -> None:
        async def tell(steps: list[dict[str, Any]]) -> None:
            await asyncio.to_thread(self._write, job, lease, steps, False)

        system = self.registry.snapshot.system(job.subject)
        endpoint = system.endpoint if system is not None else None
        steps: list[dict[str, Any]] = []
        if job.created > self.clock() - OLD:
            verified = await asyncio.to_thread(self._verified, job.subject)
            test = ConnectionTest(self.peers, job.subject, self.clock, tell)
            steps = await test.run(endpoint.url if endpoint is not None else None, verified)
        await asyncio.to_thread(self._write, job, lease, steps, True)

    def _write(self, job: Job, lease: Lease, steps: list[dict[str, Any]], done: bool) -> None:
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            jobs.change(connection, job, self.clock(), DONE if done else None, steps=list(steps))

    def _verified(self, system: str) -> float | None:
        """When an answer of this system was taken last: its signature held."""
        with reading(self.engine) as connection:
            hits = search(connection, Query(provider=system, kind="outcome", outcome="ok"), limit=1).hits
        return hits[0].sequenced if hits else None


def _tests(services: KeeperServices) -> ConnectionTests:
    return ConnectionTests(
        services.engine,
        services.lock,
        services.registry,
        services.peers,
        services.clock,
    )


TASK = PeriodicTask("connection tests are not run", _tests, SECONDS)
