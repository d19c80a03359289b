"""Takes the decision to go on without a standby back, once one confirms again (`lgsp machine alone`)."""

from __future__ import annotations

import asyncio
import time

from sqlalchemy import Engine

from gateway.journal import alone
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease


class StandbyBack:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run_once(self, lease: Lease) -> int:
        await asyncio.to_thread(self.look, lease)
        return 0

    def look(self, lease: Lease) -> bool:
        """Whether the decision was taken back. That itself waits for the standby."""
        from gateway.journal.standby import lacks

        with self._engine.connect() as connection:
            stands = alone.standing(connection)
            if stands is None or lacks(connection.connection.driver_connection) is not None:  # type: ignore[arg-type]
                return False
        with writing(self._engine) as connection:
            leases.check(connection, lease)
            ended = alone.end(connection)
            if ended:
                facts = {"decided": stands.by, "reason": stands.reason}
                append(connection, [entries.note("alone-ended", facts, time.time())])
        return ended


def _back(services: KeeperServices) -> StandbyBack | None:
    required = services.settings.standby == "required" and services.engine.dialect.name == "postgresql"
    return StandbyBack(services.engine) if required else None


TASK = PeriodicTask("it stays without a standby", _back, 1.0)
