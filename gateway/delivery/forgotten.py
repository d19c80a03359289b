"""Messages that the database gives to this keeper, although it does not have them in hand.

1. The answer to the COMMIT that took them up was lost, or came too late. Nothing was sent: they are delivered.
2. Their end could not be written in time, and nobody tries any more. Whether the receiver acted is known here alone, so
   they are left to recovery (`gateway.keeper.recovery`), as those of a dead process are.

A COMMIT that waits for a standby may take effect long after it was given up. So it is looked for a while after the last
failure, and at least once after that time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

from sqlalchemy import Engine, select, update

from gateway.delivery.queue import LEASED, Job
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.transfer.states import State

DOUBT_SECONDS: Final = 60.0


class Forgotten:
    """Of one keeper. `unwritten`: transfers whose end nobody writes any more."""

    def __init__(
        self, engine: Engine, lock: FileLock | None, process: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.unwritten: Final[set[str]] = set()
        self._engine: Final = engine
        self._lock: Final = lock
        self._process: Final = process
        self._monotonic: Final = monotonic
        self._failed_at: float | None = None

    def failed(self) -> None:
        """Nobody knows whether messages were taken up."""
        self._failed_at = self._monotonic()

    def found(self, lease: Lease, in_hand: Collection[str]) -> list[Job]:
        """Those that nothing was sent of. Leaves the `unwritten` ones to recovery."""
        if self._failed_at is None and not self.unwritten:
            return []
        last = self._failed_at is None or self._monotonic() - self._failed_at >= DOUBT_SECONDS
        left = list(self.unwritten)
        if left:
            self._disown(lease, left)
            self.unwritten.difference_update(left)
        jobs = self._taken(in_hand)
        if last:
            self._failed_at = None
        return jobs

    def _disown(self, lease: Lease, left: Collection[str]) -> None:
        table = tables.transfer.c
        own = (table.id.in_(left), table.process == self._process, table.state == State.FORWARDING.value)
        with writing(self._engine, self._lock) as connection:
            leases.check(connection, lease)
            connection.execute(update(tables.transfer).where(*own).values(process=None))

    def _taken(self, in_hand: Collection[str]) -> list[Job]:
        queue, transfer = tables.queue, tables.transfer
        own = [queue.c[name].label(f"queue_{name}") for name in QueueRow._fields]
        rows = (
            select(*own, transfer)
            .select_from(queue.join(transfer, transfer.c.id == queue.c.transfer))
            .where(queue.c.state == LEASED, transfer.c.process == self._process)
            .where(transfer.c.state == State.FORWARDING.value)
        )
        with self._engine.connect() as connection:
            return [Job.of(row, self._process) for row in connection.execute(rows) if row.id not in in_hand]
