"""Logs refusals before they are returned, and sums of floods when they end.

Invariant: a refusal is logged before the caller gets it. Floods of unproven callers are logged as sums (`floods`).
While the database takes nothing, or not in time, the call that learns it is not logged: its caller would wait twice.
Invariant: a process that was fenced writes no entry, and returns no receipt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from contracts.base.errors import Failure, Ours
from gateway.exchange.floods import SECONDS, Floods, Sum
from gateway.journal.errors import AWAY, JOURNAL_BUSY, JOURNAL_FENCED
from gateway.journal.write import LogRow, QuotaUse, ReplayKey, Verdict, Write
from gateway.journal.writer import Journal
from gateway.signals import meters
from gateway.transfer import entries
from gateway.transfer.stages import Authenticated, Reached, Receipt, Received, Refused, authenticated_of, received_of

BUSY_SECONDS: Final = 1
_logger: Final = logging.getLogger("lgsp.exchange")


def _told(what: str, failure: Failure) -> None:
    """A line of the process log: the code, with transfer and trace of the running call."""
    _logger.info("%s: %s", what, failure.code, extra={"code": failure.code})


@dataclass(slots=True)
class RefusalLog:
    """The refusals of one process. `hash_id` is the keyed hash of a message id; `clock` gives Unix seconds."""

    journal: Journal
    hash_id: Callable[[str], str]
    clock: Callable[[], float]
    floods: Floods = field(default_factory=Floods)
    _writing: set[asyncio.Future[Verdict]] = field(default_factory=set)

    async def refuse(self, reached: Reached, failure: Failure) -> Refused:
        """Logs a refusal and returns it. If the log fails, the failure of the log is returned."""
        received, authenticated = received_of(reached), authenticated_of(reached)
        meters.refusal(received.face.value, failure.code)
        if authenticated is None and entries.by_channel(received) is None:
            flood = self.floods.sum_of(received, failure)
            if flood is not None:
                if flood.count == 1:
                    asyncio.get_running_loop().call_later(SECONDS, self._end_flood, flood)
                return Refused(received, failure, Receipt(flood.received.transfer), None)
        if failure.code == JOURNAL_BUSY.code or failure.code in AWAY and self.journal.trouble is not None:
            return self._unlogged(received, failure, authenticated)
        entry = entries.refusal(reached, failure, self.clock(), self.hash_id)
        try:
            await self.log(entry)
        except Ours as broken:
            return self._unlogged(received, broken, authenticated)
        if authenticated is not None or self._proven(received):
            _told("refused", failure)
        return Refused(received, failure, Receipt(received.transfer, refusal=entry.leaf), authenticated)

    @staticmethod
    def _unlogged(received: Received, failure: Failure, authenticated: Authenticated | None) -> Refused:
        _told("could not be logged", failure)
        return Refused(received, failure, Receipt(received.transfer), authenticated)

    @staticmethod
    def _proven(received: Received) -> bool:
        """Whether the channel names who calls: strangers must not fill the process log."""
        return entries.by_channel(received) is not None

    def _end_flood(self, flood: Sum) -> None:
        if not self.floods.end(flood):
            return
        entry = entries.refusal(flood.received, flood.failure, self.clock(), self.hash_id, count=flood.count)
        task = asyncio.ensure_future(self.log(entry))
        self._writing.add(task)
        task.add_done_callback(self._flood_written)

    async def close(self) -> None:
        """Logs the sums that are still open. No call may follow."""
        for flood in self.floods.under_way():
            self._end_flood(flood)
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _flood_written(self, task: asyncio.Future[Verdict]) -> None:
        self._writing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("refusals that were summed up could not be logged: %s", task.exception())

    async def log(self, entry: LogRow, uses: tuple[QuotaUse, ...] = (), replay: ReplayKey | None = None) -> Verdict:
        """Commits one entry. Returns FULL if its quota is used up, REPLAYED if the same signed bytes came before. A
        fenced process writes and returns nothing.
        """
        written = await self.journal.commit(Write(replay=replay, log=(entry,), quota=uses))
        if written.verdict not in (Verdict.COMMITTED, Verdict.FULL, Verdict.REPLAYED):
            raise JOURNAL_FENCED(retry_after=BUSY_SECONDS)
        return written.verdict
