"""Nothing is acknowledged that a synchronous standby does not have (setting `standby: required`).

Theory of operation:
1. PostgreSQL waits in COMMIT until the standby has the transaction on disk. Nobody sees it before. The wait has no
   end of its own: `statement_timeout` does not count there, and a caller who goes away does not end it.
2. So before COMMIT it is looked whether a synchronous standby streams, and whether others wait for it already. If not,
   the transaction is rolled back: nothing was written (`Lacking`).
3. The answer to COMMIT is waited for a limited time. After that nobody knows how it ends (`Unconfirmed`). The server
   goes on waiting, and what was written stays invisible until the standby has it.
4. A wait that somebody cancels ends with success and a warning: the transaction stands here, and perhaps not on the
   standby. That is `Unconfirmed` too.
5. A person may let it go on without a standby (`lgsp machine alone`, a row in `instance`). Commits are local then. Each
   such transaction locks that row, so when the person takes it back, no local commit is under way any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from gateway.journal.alone import KEY
from gateway.journal.errors import JOURNAL_NO_STANDBY
from gateway.journal.limits import Presence

CHECK_SECONDS: Final = 0.5
WAITING_SECONDS: Final = 1.0  # a wait for the standby that is longer is no delay any more
_STATE: Final = """
SELECT current_setting('synchronous_standby_names'), pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
 (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')),
 (SELECT count(*) FROM pg_stat_activity
  WHERE wait_event = 'SyncRep' AND clock_timestamp() - query_start > make_interval(secs => %s))
"""
_MADE: Final = "SELECT to_regclass('instance') IS NOT NULL"
_ALONE: Final = "SELECT 1 FROM instance WHERE key = %s FOR SHARE"


class Lacking(psycopg.OperationalError):
    """No standby would confirm: the transaction was not committed."""

    failure: Final = JOURNAL_NO_STANDBY


class Unconfirmed(psycopg.OperationalError):
    """COMMIT was sent, and no standby confirmed it. `silent`: there was no answer at all."""

    failure: Final = JOURNAL_NO_STANDBY
    may_stand: Final = True

    def __init__(self, *words: Any, silent: bool = False) -> None:
        super().__init__(*words)
        self.silent: Final = silent


class Guard:
    """Of one engine. `seconds`: how long the answer to COMMIT is waited for. Safe between threads."""

    def __init__(self, presence: Presence, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.seconds: Final = seconds
        self._presence: Final = presence
        self._monotonic: Final = monotonic
        self._fine_until = float("-inf")

    def before(self, connection: psycopg.Connection[Any]) -> None:
        """Before COMMIT, in its transaction. Raises `Lacking`."""
        status = connection.info.transaction_status
        if status is not TransactionStatus.INTRANS or self._monotonic() < self._fine_until:
            return
        lack = lacks(connection, min(self.seconds, WAITING_SECONDS))
        if lack is None:
            self._presence.unconfirmed, self._presence.alone = None, False
            self._fine_until = self._monotonic() + CHECK_SECONDS
        elif is_alone(connection):
            self._presence.unconfirmed, self._presence.alone = None, True
            connection.execute("SET LOCAL synchronous_commit = local")
        else:
            self._presence.alone = False
            self.doubt(lack)
            raise Lacking(lack)

    def doubt(self, reason: str) -> None:
        self._fine_until = float("-inf")
        self._presence.unconfirmed = reason


def lacks(connection: psycopg.Connection[Any], seconds: float = WAITING_SECONDS) -> str | None:
    """Why no standby confirms what is committed now; None if one does. `seconds`: as long as a wait may take."""
    names, may_look, streaming, waiting = connection.execute(_STATE, (seconds,)).fetchone() or ("", False, 0, 0)
    if not names:
        return "synchronous_standby_names is empty"
    if not may_look:
        return "the role lacks pg_read_all_stats"
    if not streaming:
        return "no synchronous standby streams"
    if waiting:
        return "the standby does not answer"
    return None


def is_alone(connection: psycopg.Connection[Any]) -> bool:
    """Whether a person let it go on without a standby. Until the transaction ends, nobody takes that back."""
    made = connection.execute(_MADE).fetchone()
    return bool(made and made[0] and connection.execute(_ALONE, (KEY,)).fetchone())
