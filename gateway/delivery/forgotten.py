"""Messages that the database gives to this keeper, although it does not have them in hand.

The answer to the COMMIT that took them up was lost, or came too late. Nothing was sent, so they are delivered. A COMMIT
that waits for a standby may take effect long after it was given up. So it is looked for a while after the last failure,
and at least once after that time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

from sqlalchemy import Engine

from gateway.delivery.queue import LEASED, Job, placed
from gateway.journal.schema import tables
from gateway.transfer.states import State

DOUBT_SECONDS: Final = 60.0


class Forgotten:
    """Of one keeper."""

    def __init__(self, engine: Engine, process: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine: Final = engine
        self._process: Final = process
        self._monotonic: Final = monotonic
        self._failed_at: float | None = None

    def failed(self) -> None:
        """Nobody knows whether messages were taken up."""
        self._failed_at = self._monotonic()

    def found(self, in_hand: Collection[str]) -> list[Job]:
        """Those that are not among the transfers `in_hand`."""
        if self._failed_at is None:
            return []
        last = self._monotonic() - self._failed_at >= DOUBT_SECONDS
        jobs = self._taken(in_hand)
        if last:
            self._failed_at = None
        return jobs

    def _taken(self, in_hand: Collection[str]) -> list[Job]:
        queue, transfer = tables.queue, tables.transfer
        rows = placed().where(
            queue.c.state == LEASED,
            transfer.c.process == self._process,
            transfer.c.state == State.FORWARDING.value,
        )
        with self._engine.connect() as connection:
            return [Job.of(row, self._process) for row in connection.execute(rows) if row.id not in in_hand]
