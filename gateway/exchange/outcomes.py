"""Records how calls ended, also if the database cannot be written at that moment.

Invariant: a caller is never told that nothing was forwarded once it was.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from contracts.base.errors import Ours
from gateway.exchange.errors import TRANSFER_OUTCOME_UNWRITTEN
from gateway.exchange.refusal_log import BUSY_SECONDS
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.limits import RETRY_SECONDS, presence_of
from gateway.journal.outcomes import commit_outcome
from gateway.journal.write import Verdict, Write, Written
from gateway.journal.writer import Journal

PATIENCE: Final = 10.0  # seconds
_logger: Final = logging.getLogger("lgsp.exchange")


def patience_of(engine: Engine) -> float:
    """How many seconds a caller waits until an outcome is written: as long as for any other answer of the database."""
    limits = presence_of(engine).limits
    return limits.silent if limits is not None and limits.answer else PATIENCE


@dataclass(slots=True)
class Outcomes:
    """The outcomes that one process has to write. `patience`: how many seconds a caller waits for the database; the
    outcome is tried for longer."""

    journal: Journal
    patience: float
    _writing: set[asyncio.Task[Written]] = field(default_factory=set)

    async def record(self, transfer: str, write: Write) -> None:
        """Returns when the outcome is on disk. Raises `transfer.outcome-unwritten` if that takes too long,
        `journal.fenced` if another process has ended the transfer.
        """
        task = asyncio.create_task(commit_outcome(self.journal, write))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        done, _ = await asyncio.wait({task}, timeout=self.patience)
        if not done:
            task.add_done_callback(lambda late: _tell(transfer, late))
            raise TRANSFER_OUTCOME_UNWRITTEN(transfer=transfer, retry_after=RETRY_SECONDS)
        try:
            written = task.result()
        except Ours as trouble:
            _logger.critical("transfer %s: its outcome could not be written (%s)", transfer, trouble.code)
            raise TRANSFER_OUTCOME_UNWRITTEN(transfer=transfer, retry_after=RETRY_SECONDS) from trouble
        if written.verdict is not Verdict.COMMITTED:
            # The keeper took this process for dead and closed the transfer as in-doubt: that end counts.
            raise JOURNAL_FENCED(retry_after=BUSY_SECONDS)


def _tell(transfer: str, late: asyncio.Task[Written]) -> None:
    if late.cancelled():
        return
    trouble = late.exception()
    if trouble is not None:
        _logger.critical("transfer %s: its outcome could not be written; recovery closes it: %s", transfer, trouble)
    elif late.result().verdict is not Verdict.COMMITTED:
        _logger.warning("transfer %s was ended by another process; what came of this call counts no more", transfer)
