"""Whether something can be written again, after tasks of the keeper failed because nothing could.

Each failed task asks before it runs again. One look serves all that failed before it began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from sqlalchemy import Engine

from gateway.journal.database import writing
from gateway.journal.errors import JOURNAL_UNAVAILABLE
from gateway.journal.filelock import FileLock
from gateway.journal.limits import RETRY_SECONDS, no_room, passes, reason_of
from gateway.journal.room import check_room
from gateway.journal.statements import Cursor
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease

_GOOD_SECONDS: Final = 1.0


class WritesAgain:
    """Of one keeper; for its event loop alone."""

    def __init__(self, engine: Engine, lock: FileLock | None, monotonic: Callable[[], float]) -> None:
        self._engine: Final = engine
        self._lock: Final = lock
        self._monotonic: Final = monotonic
        self._looking: Final = asyncio.Lock()
        self._looked_at = float("-inf")
        self._found: Exception | None = None
        self._full = False

    async def check(self, lease: Lease, failure: Exception) -> None:
        """Raises while nothing can be written. Then no COMMIT of this keeper is under way any more whose answer was
        lost: the task reads what that one wrote."""
        asked_at = self._monotonic()
        self._full = self._full or no_room(failure)
        async with self._looking:
            if self._looked_at < asked_at - (_GOOD_SECONDS if self._found is not None else 0.0):
                self._looked_at, self._found = self._monotonic(), await asyncio.to_thread(self._look, lease)
            if self._found is not None:
                if not passes(self._found):  # of this lease alone: the next one is looked at anew
                    self._looked_at = float("-inf")
                raise self._found

    def _look(self, lease: Lease) -> Exception | None:
        try:
            with writing(self._engine, self._lock) as connection:
                leases.check(connection, lease)
            if self._full:
                self._check_room()
                self._full = False
        except Exception as trouble:
            return trouble
        return None

    def _check_room(self) -> None:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            try:
                check_room(self._engine, cast(Cursor, connection.connection.cursor()))
            except Exception as trouble:
                if no_room(trouble):
                    raise JOURNAL_UNAVAILABLE(retry_after=RETRY_SECONDS, reason=reason_of(trouble)) from trouble
