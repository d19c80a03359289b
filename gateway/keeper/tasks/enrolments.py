"""Carries out what people ordered at the desk about keys of systems (`gateway.registry.changes.enrolment_orders`).

The keeper does it, since the desk holds no key of an authority.
Invariant: an order is carried out in one transaction with its entry and its job's end, or not at all.
Invariant: an order names the ids of the new keys, and an id is used once. So an order that is put back does nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from sqlalchemy import Engine

from contracts.base.errors import Failure
from gateway.journal import jobs
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.jobs import DONE, Job
from gateway.journal.wakes import ORDERS
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.keyring import Keyring
from gateway.registry.changes import enrolment_orders
from gateway.registry.changes.enrolment_orders import END, KIND, MINUTES, Issuing
from gateway.registry.changes.orders import Orders
from gateway.registry.errors import REGISTRY_ORDER_LATE
from gateway.registry.seals.sealing import Seal, changing
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease

SECONDS: Final = 1.0


@dataclass(slots=True)
class Enrolments:
    engine: Engine
    lock: FileLock | None
    authority: Issuing
    orders: Orders
    seal: Seal | None
    clock: Callable[[], float] = time.time
    _running: bool = True  # whether an order was, or an end whose time is to come, at the last run
    topic: ClassVar[str] = ORDERS

    async def run_once(self, lease: Lease) -> int:
        await asyncio.to_thread(self._look, lease)
        return 0

    def rests(self) -> bool:
        return not self._running

    def _look(self, lease: Lease) -> None:
        with self.engine.connect() as connection:
            asked, ends = jobs.running(connection, KIND), jobs.running(connection, END)
        self._running = bool(asked or ends)
        for job in asked:
            self._guarded(job, lease, self._enrol)
        for job in ends:
            if self.clock() >= _time_of(job):
                self._guarded(job, lease, self._end)

    def _guarded(self, job: Job, lease: Lease, carry_out: Callable[[Job, Lease], None]) -> None:
        """A refusal ends the job, and whoever asked reads it there."""
        try:
            carry_out(job, lease)
        except Failure as failure:
            now = self.clock()
            with writing(self.engine, self.lock) as connection:
                leases.check(connection, lease)
                jobs.change(connection, job, now, DONE, trouble=told(failure))
                facts = {"job": job.id, "system": job.subject, "failure": failure.code}
                append(connection, [entries.note(job.kind, facts, now, actor=job.actor)])

    def _enrol(self, job: Job, lease: Lease) -> None:
        now = self.clock()
        if job.created <= now - MINUTES * 60:
            raise REGISTRY_ORDER_LATE(job=job.id, minutes=MINUTES)
        with changing(self.engine, self.seal, self.lock) as act:
            leases.check(act.connection, lease)
            done = enrolment_orders.carry_out(act, self.authority, self.orders, job, now)
            jobs.change(act.connection, job, now, DONE, enrolled=done.facts(), older=list(done.older))

    def _end(self, job: Job, lease: Lease) -> None:
        now = self.clock()
        with changing(self.engine, self.seal, self.lock) as act:
            leases.check(act.connection, lease)
            if enrolment_orders.end(act, self.orders, job, now) is not None:
                jobs.change(act.connection, job, now, DONE)


def told(failure: Failure) -> dict[str, Any]:
    """A failure for the job's facts, in both languages."""
    texts = {
        language: {"title": failure.title(language), "what": failure.what(language), "next": failure.next(language)}
        for language in ("vi", "en")
    }
    return {"code": failure.code, **texts}


def _time_of(job: Job) -> float:
    """When an end is due; at once for what no desk wrote, so that it is refused."""
    at = job.facts.get("order", {}).get("at") if isinstance(job.facts.get("order"), dict) else None
    return float(at) if isinstance(at, int) else 0.0


def _make(services: KeeperServices) -> Enrolments:
    settings = services.settings
    orders = Orders(Keyring(settings).hash_key())
    return Enrolments(
        services.engine, services.lock, EmbeddedAuthority(settings), orders, services.seal, services.clock
    )


TASK = PeriodicTask("orders of certificates are not carried out", _make, SECONDS)
