"""Opens the handlings of messages (`gateway.workflow.opening`)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.workflow.opening import Opening
from gateway.workflow.records import Office


@dataclass(frozen=True, slots=True)
class Handlings:
    opening: Opening

    async def run_once(self, lease: Lease) -> int:
        return await asyncio.to_thread(self.opening.step, lambda connection: leases.check(connection, lease))


def _handlings(services: KeeperServices) -> Handlings:
    office = Office(
        engine=services.engine,
        registry=services.registry,
        vault=services.vault,
        hash_id=services.hash_id,
        clock=services.clock,
    )
    return Handlings(Opening(office))


TASK = PeriodicTask("messages get no handling", _handlings, 1.0)
