"""Takes older events of a feed up into its business keys (`gateway.feeds.rekeying`).

They were handed in before the contract declared its keys, or before the gateway knew any.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.feeds.rekeying import Rekeying
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease


@dataclass(slots=True)
class FeedKeys:
    registry: Registry
    rekeying: Rekeying

    async def run_once(self, lease: Lease) -> int:
        contracts = tuple(self.registry.snapshot.contracts.values())
        return await asyncio.to_thread(
            self.rekeying.step, contracts, self.registry.compiled, lambda connection: leases.check(connection, lease)
        )


def _feed_keys(services: KeeperServices) -> FeedKeys:
    rekeying = Rekeying(services.engine, services.lock, services.vault, services.hash_id, services.clock)
    return FeedKeys(services.registry, rekeying)


TASK = PeriodicTask("older events are not taken up into the business keys", _feed_keys, 2.0)
