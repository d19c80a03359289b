"""Compares the schema, and the sealed rows of registry and accounts, with what they should be, once a minute.

An insider with access to the database can change both without the log. A difference is logged once while it stays the
same, and once when it ends: in the audit log and on standard error. Doors do not wait for this; each process checks by
itself (`gateway.registry.registry`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from gateway.journal.append import append
from gateway.journal.database import snapshot, writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import comparison
from gateway.keeper.periodic import PeriodicTask
from gateway.registry.seals.accounts import Seal as AccountsSeal
from gateway.registry.seals.sealing import Seal
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from security.transparency import entry as form

SECONDS: Final = 60.0
NOTE: Final = "altered"
ENDED: Final = "altered-ended"
_MOST: Final = 50
_logger: Final = logging.getLogger("lgsp.alterations")


@dataclass(slots=True)
class Alterations:
    engine: Engine
    lock: FileLock | None
    seal: Seal
    accounts: AccountsSeal
    clock: Callable[[], float] = time.time
    _logged: tuple[list[str], ...] = ([], [], [])

    async def run_once(self, lease: Lease) -> int:
        await asyncio.to_thread(self.look, lease)
        return 0

    def look(self, lease: Lease) -> None:
        """Compares, and logs the result where it differs from the one that was logged last."""
        seen = self.accounts.seen()
        with snapshot(self.engine) as connection:
            objects = [str(each) for each in comparison.differences(connection)]
            rows = [str(each) for each in self.seal.look(connection)[0]]
            accounts = [str(each) for each in self.accounts.look(connection, seen)]
        if (objects, rows, accounts) == self._logged:
            return
        for each in (*objects, *rows, *accounts):
            _logger.critical("the database was altered: %s", each)
        facts: dict[str, form.Json] = {
            "schema": objects[:_MOST],
            "registry": rows[:_MOST],
            "accounts": accounts[:_MOST],
            "count": len(objects) + len(rows) + len(accounts),
        }
        what = NOTE if objects or rows or accounts else ENDED
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            append(connection, [entries.note(what, facts, self.clock(), actor="keeper")])
        self._logged = (objects, rows, accounts)


TASK = PeriodicTask(
    "schema, registry and accounts are not looked at",
    lambda services: Alterations(services.engine, services.lock, services.seal, AccountsSeal.of(services.settings)),
    SECONDS,
)
