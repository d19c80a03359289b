"""Looks what is wrong with systems, raises and ends alarms, and has their contacts told; in the leading keeper."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from gateway.cases.outages import out_of_service
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.watch import alarms, conditions, telling
from gateway.watch.alarms import Kind, Look, settle
from gateway.watch.conforming import Conforming
from gateway.watch.late import LateData


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """`mails`: whether contacts are told by mail."""

    engine: Engine
    lock: FileLock | None
    registry: Registry
    clock: Callable[[], float]
    queue_seconds: float
    mails: bool
    late: LateData
    conforming: Conforming = field(default_factory=Conforming)

    async def run_once(self, lease: Lease) -> int:
        await asyncio.to_thread(self._look, lease)
        return 0

    def _look(self, lease: Lease) -> None:
        snapshot, now = self.registry.snapshot, self.clock()
        with self.engine.connect() as connection:
            away = alarms.systems_of(connection, Kind.DOWN)
            away |= out_of_service(connection, snapshot, now)
            queues = conditions.queues(connection, self.queue_seconds, now, away)
            owing = self.late.look(connection, snapshot)
            broken = self.conforming.look(connection, snapshot, now)
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            look = Look(snapshot, now)
            settle(connection, Kind.QUEUE, queues, look)
            settle(connection, Kind.CERTIFICATE, conditions.certificates(snapshot, now), look)
            settle(connection, Kind.DUE, owing.due, look)
            settle(connection, Kind.LATE, owing.late, look)
            settle(connection, Kind.CONFORM, broken, look)
            alarms.forget(connection, now)
            if self.mails:
                telling.tell(connection, snapshot, now)
