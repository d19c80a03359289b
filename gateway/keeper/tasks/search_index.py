"""Fills the index of the audit search (`gateway.audit.search.index`) behind the sequencer.

It takes at most a fifth of one core, and indexes several entries at a time: the search reads newer ones from the log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.audit.search import index
from gateway.audit.search.index import Indexer
from gateway.keeper.periodic import PeriodicTask
from gateway.transfer.lease import Lease

PATIENCE: Final = 2.0  # seconds that fewer entries than one transaction holds wait
_WORK_SECONDS: Final = 0.05  # at a stretch; the rest after it is `_REST` times as long
_REST: Final = 4.0


class Indexing:
    """Keeps its own pace, so that it never asks to be run again at once."""

    def __init__(self, indexer: Indexer, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._indexer: Final = indexer
        self._monotonic: Final = monotonic
        self._next = 0.0

    async def run_once(self, lease: Lease) -> int:
        began = self._monotonic()
        while self._next <= began:
            waiting = await asyncio.to_thread(self._indexer.waiting)
            indexed = await asyncio.to_thread(self._indexer.step, lease) if waiting else 0
            now = self._monotonic()
            if waiting - indexed < index.LIMIT:
                self._next = now + PATIENCE
            elif now - began >= _WORK_SECONDS:
                self._next = now + _REST * (now - began)
        return 0


TASK = PeriodicTask(
    "the log is not indexed for searching", lambda services: Indexing(Indexer(services.engine, services.lock))
)
