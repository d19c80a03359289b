"""Ends the content of feeds whose time has come (`gateway.feeds.expiry`)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.feeds.expiry import Expiring
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease


@dataclass(slots=True)
class FeedExpiry:
    registry: Registry
    expiring: Expiring

    async def run_once(self, lease: Lease) -> int:
        contracts = tuple(self.registry.snapshot.contracts.values())
        return await asyncio.to_thread(
            self.expiring.step, contracts, lambda connection: leases.check(connection, lease)
        )


def _feed_expiry(services: KeeperServices) -> FeedExpiry:
    expiring = Expiring(services.engine, services.lock, services.vault, services.hash_id, services.clock)
    return FeedExpiry(services.registry, expiring)


TASK = PeriodicTask("content whose time has come is not ended", _feed_expiry, 2.0)
