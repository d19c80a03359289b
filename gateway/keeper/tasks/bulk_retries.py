"""Carries on the bulk retries that people started (`gateway.delivery.bulk`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from sqlalchemy import Engine

from gateway.delivery import bulk
from gateway.journal import jobs
from gateway.journal.filelock import FileLock
from gateway.journal.wakes import ORDERS
from gateway.keeper.periodic import PeriodicTask
from gateway.keys.keyring import Keyring
from gateway.registry.changes.orders import Orders
from gateway.transfer.lease import Lease

SECONDS: Final = 1.0


@dataclass(slots=True)
class BulkRetries:
    engine: Engine
    lock: FileLock | None
    orders: Orders
    clock: Callable[[], float]
    _running: bool = True  # whether a job was, at the last run
    topic: ClassVar[str] = ORDERS

    async def run_once(self, lease: Lease) -> int:
        await asyncio.to_thread(self._step, lease)
        return 0  # a second later the next ones: a provider that is back is not flooded

    def rests(self) -> bool:
        return not self._running

    def _step(self, lease: Lease) -> None:
        with self.engine.connect() as connection:
            self._running = bool(jobs.running(connection, bulk.KIND))
        if self._running:
            bulk.step(self.engine, self.lock, lease, self.orders, self.clock())


TASK = PeriodicTask(
    "bulk retries do not go on",
    lambda services: BulkRetries(
        services.engine, services.lock, Orders(Keyring(services.settings).hash_key()), services.clock
    ),
    SECONDS,
)
