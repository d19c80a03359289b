"""The newest signed checkpoint in the second database (`vault_database`), beside the file of each machine.

A main database that was restored to an older state is found by it, although the folder of each machine is new.
Theory of operation: a keeper that begins to lead reads it first, and signs nothing that does not continue it. While it
leads, it writes each new checkpoint there, and does not wait for a second database that is away: the newest is written
when it is back. What was signed meanwhile is outside the main database in the files of the machines alone.

Invariant: it only goes forward.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import Final

from sqlalchemy import select

from contracts.base.errors import Failure
from gateway.audit.log.checkpoints import size_of
from gateway.journal.database import insert
from gateway.vault.second import Second, log_head

_WAIT_SECONDS: Final = 0.25  # for a checkpoint to be written there, before the sequencer goes on
_logger: Final = logging.getLogger("lgsp.audit")


class LogHead:
    """The head of one log. `advance` and `again` are for one thread."""

    def __init__(self, second: Second, origin: str) -> None:
        self._second: Final = second
        self._origin: Final = origin
        self._worker: Final = ThreadPoolExecutor(1, "lgsp-log-head")
        self._wanted: str | None = None
        self._under_way: Future[None] | None = None
        self._failed = False

    def read(self) -> str | None:
        """The note; None before the first one. Raises `vault.unavailable`."""
        with self._second.asking(probing=True) as connection:
            found = connection.scalar(select(log_head.c.note).where(log_head.c.origin == self._origin))
        return None if found is None else str(found)

    def advance(self, note: str) -> None:
        """Writes a later checkpoint. If that takes long, it goes on by itself."""
        self._wanted = note
        self.again()

    def again(self) -> None:
        """Writes what is not written yet, if anything."""
        if self._wanted is None or (self._under_way is not None and not self._under_way.done()):
            return
        self._under_way = self._worker.submit(self._write, self._wanted)
        try:
            self._under_way.result(_WAIT_SECONDS)
        except Late:
            pass

    def _write(self, note: str) -> None:
        row = {"origin": self._origin, "size": size_of(note), "note": note}
        try:
            with self._second.asking(probing=True) as connection:
                statement = insert(connection, log_head).values(row)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["origin"],
                        set_={"size": row["size"], "note": note},
                        where=log_head.c.size < row["size"],
                    )
                )
        except Failure as failure:
            if not self._failed:
                _logger.error("the newest checkpoint is not in the second database: %s", failure)
            self._failed = True
            return
        self._failed = False
        if self._wanted == note:
            self._wanted = None
