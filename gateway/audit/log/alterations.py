"""The keeper's look, once a minute, at what an insider with the database can do beside the log: the schema, and the rows of the registry.

What is found goes into the log and to standard error, once for as long as it stays the same; that it ended is told too. The doors do not wait for this: each
process looks by itself and takes nothing in (`gateway.registry.registry`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from contracts.base.ids import new_id
from gateway.audit.log import lease as leases
from gateway.audit.log.lease import Lease
from gateway.journal.append import append
from gateway.journal.database import snapshot, writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import comparison
from gateway.journal.write import LogRow
from gateway.registry.seals.sealing import Seal
from security.transparency import entry as form

SECONDS: Final = 60.0
NOTE: Final = "altered"
ENDED: Final = "altered-ended"
_MOST: Final = 50
_logger: Final = logging.getLogger("lgsp.alterations")


@dataclass(slots=True)
class Alterations:
    """A chore of the keeper."""

    engine: Engine
    lock: FileLock | None
    seal: Seal
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _look_at: float = float("-inf")
    _told: tuple[list[str], list[str]] = ([], [])

    async def run_once(self, lease: Lease) -> int:
        moment = self.monotonic()
        if moment >= self._look_at:
            self._look_at = moment + SECONDS
            await asyncio.to_thread(self.look, lease)
        return 0

    def look(self, lease: Lease) -> None:
        """Look now, and tell the log where that differs from what it was told last."""
        with snapshot(self.engine) as connection:
            objects = [str(each) for each in comparison.differences(connection)]
            rows = [str(each) for each in self.seal.look(connection)[0]]
        found = (objects, rows)
        if found == self._told:
            return
        for each in (*objects, *rows):
            _logger.critical("the database was altered: %s", each)
        facts: dict[str, form.Json] = {
            "schema": objects[:_MOST],
            "registry": rows[:_MOST],
            "count": len(objects) + len(rows),
        }
        what, now = NOTE if objects or rows else ENDED, self.clock()
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            append(connection, [LogRow(*form.freeze(form.Note(new_id(int(now * 1000)), now, what, "keeper", facts)))])
        self._told = found
