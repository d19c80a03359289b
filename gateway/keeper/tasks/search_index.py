"""Fills the index of the audit search (`gateway.audit.search.index`) behind the sequencer.

It takes at most a fifth of one core, and indexes several entries at a time: the search reads newer ones from the log.
Who operates may order that it is made anew (`REINDEX`): it is emptied, and filled again at the same pace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.audit.search import index
from gateway.audit.search.index import REINDEX, Indexer
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.jobs import DONE
from gateway.keeper.periodic import PeriodicTask
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease

PATIENCE: Final = 2.0  # seconds that fewer entries than one transaction holds wait
_WORK_SECONDS: Final = 0.05  # at a stretch; the rest after it is `_REST` times as long
_REST: Final = 4.0
ORDERS: Final = 1.0  # seconds between two looks at the orders


class Indexing:
    """Keeps its own pace, so that it never asks to be run again at once."""

    def __init__(self, indexer: Indexer, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._indexer: Final = indexer
        self._monotonic: Final = monotonic
        self._next = 0.0
        self._ordered_next = 0.0

    async def run_once(self, lease: Lease) -> int:
        began = self._monotonic()
        if began >= self._ordered_next:
            await asyncio.to_thread(self._ordered, lease)
            self._ordered_next = began + ORDERS
        while self._next <= began:
            waiting = await asyncio.to_thread(self._indexer.waiting)
            indexed = await asyncio.to_thread(self._indexer.step, lease) if waiting else 0
            now = self._monotonic()
            if waiting - indexed < index.LIMIT:
                self._next = now + PATIENCE
            elif now - began >= _WORK_SECONDS:
                self._next = now + _REST * (now - began)
        return 0

    def _ordered(self, lease: Lease) -> None:
        """Begins an order, or tells how far it has come. Several orders are one."""
        engine = self._indexer.engine
        with engine.connect() as connection:
            asked = jobs.running(connection, REINDEX)
            if not asked:
                return
            upto, size = index.reached(connection)
        begun = [job for job in asked if "size" in job.facts]
        if not begun:
            self._indexer.empty(lease)
            upto = 0
        now = time.time()
        with writing(engine, self._indexer.lock) as connection:
            leases.check(connection, lease)
            for job in asked:
                whole = int(begun[0].facts["size"]) if begun else size
                facts = {"size": whole, "done": min(upto, whole)}
                jobs.change(connection, job, now, DONE if upto >= whole else None, **facts)


TASK = PeriodicTask(
    "the log is not indexed for searching", lambda services: Indexing(Indexer(services.engine, services.lock))
)
