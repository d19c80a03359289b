"""Appends the events that the gateway itself makes of the quality of the exchange (`gateway.feeds.quality`)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.feeds.quality import Quality
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.registry.own_feed import QUALITY
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease


@dataclass(slots=True)
class FeedQuality:
    registry: Registry
    quality: Quality

    async def run_once(self, lease: Lease) -> int:
        contract = self.registry.snapshot.contract(QUALITY)
        return await asyncio.to_thread(self.quality.step, contract, lambda connection: leases.check(connection, lease))


def _feed_quality(services: KeeperServices) -> FeedQuality:
    return FeedQuality(services.registry, Quality(services.engine, services.lock, services.vault, services.clock))


TASK = PeriodicTask("events of quality are not recorded", _feed_quality, 2.0)
