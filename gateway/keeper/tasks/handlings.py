"""Opens the handlings of messages, watches their deadlines, and sends them on after mergers (`gateway.workflow`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.workflow.opening import Opening
from gateway.workflow.records import Office
from gateway.workflow.rerouting import Rerouting
from gateway.workflow.watching import Watching

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Handlings:
    opening: Opening
    watching: Watching
    rerouting: Rerouting

    async def run_once(self, lease: Lease) -> int:
        return await asyncio.to_thread(self._step, lambda connection: leases.check(connection, lease))

    def _step(self, check: Callable[[Connection], None]) -> int:
        return self.opening.step(check) + self.rerouting.step(check) + self.watching.step(check)


def _handlings(services: KeeperServices) -> Handlings:
    office = Office(
        engine=services.engine,
        registry=services.registry,
        vault=services.vault,
        hash_id=services.hash_id,
        clock=services.clock,
    )
    return Handlings(Opening(office), Watching(office, bool(services.settings.mail_server)), Rerouting(office))


TASK = PeriodicTask("messages get no handling, or deadlines are not told", _handlings, 1.0)
