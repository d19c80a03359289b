"""Carries on the bulk retries that people started (`gateway.delivery.bulk`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from gateway.delivery import bulk
from gateway.journal.filelock import FileLock
from gateway.keeper.periodic import PeriodicTask
from gateway.transfer.lease import Lease

SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class BulkRetries:
    engine: Engine
    lock: FileLock | None
    clock: Callable[[], float]

    async def run_once(self, lease: Lease) -> int:
        await asyncio.to_thread(bulk.step, self.engine, self.lock, lease, self.clock())
        return 0  # a second later the next ones: a provider that is back is not flooded


TASK = PeriodicTask(
    "bulk retries do not go on",
    lambda services: BulkRetries(services.engine, services.lock, services.clock),
    SECONDS,
)
