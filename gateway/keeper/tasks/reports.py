"""Makes the reports that people ordered at the desk (`gateway.reports.orders`)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from gateway.journal.wakes import ORDERS
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.reports import orders
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease

SECONDS: Final = 1.0


@dataclass(slots=True)
class Reports:
    services: KeeperServices
    _made: bool = True  # whether one was, at the last run
    topic: ClassVar[str] = ORDERS

    async def run_once(self, lease: Lease) -> int:
        services = self.services
        keeping = orders.Keeping(
            engine=services.engine,
            settings=services.settings,
            lock=services.lock,
            check=partial(leases.check, lease=lease),
            clock=services.clock,
        )
        self._made = await asyncio.to_thread(orders.carry_out, keeping) > 0
        return 0

    def rests(self) -> bool:
        return not self._made


TASK = PeriodicTask("reports are not made", Reports, SECONDS)
