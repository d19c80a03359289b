"""Removes large contents whose transfer was never committed (`gateway.vault.attachments`): its process died between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, select

from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keeper.retention.rows import first_id
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.vault.attachments import PART, discard

PATIENCE: Final = 3600.0  # seconds: no call is under way for so long


@dataclass(slots=True)
class LooseContents:
    engine: Engine
    lock: FileLock
    clock: Callable[[], float]
    looked: str = ""  # ids before this one were looked at

    async def run_once(self, lease: Lease) -> int:
        return await asyncio.to_thread(self._remove, lease)

    def _remove(self, lease: Lease) -> int:
        until, id = first_id(self.clock() - PATIENCE), tables.vault.c.id
        first = select(id).where(id >= self.looked, id < until, id.like(f"%/{PART}.0")).order_by(id)
        with self.engine.connect() as connection:
            found = [each.partition("/")[0] for each in connection.scalars(first)]
        for transfer in found:
            discard(self.engine, self.lock, transfer, lambda connection: leases.check(connection, lease))
        self.looked = until
        return 0


def _loose(services: KeeperServices) -> LooseContents:
    return LooseContents(services.engine, services.lock, services.clock)


TASK = PeriodicTask("large contents without a transfer are not removed", _loose, 600.0)
