"""How long a process waits for its database, and how it learns that the database is away.

SQLite needs no limits: it is a file of this machine. `gateway.journal.postgresql` applies them.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from contracts.base.errors import Ours, PlainErrorType
from gateway.journal.errors import JOURNAL_NO_STANDBY, JOURNAL_OLD_PRIMARY, JOURNAL_UNAVAILABLE

RETRY_SECONDS: Final = 5  # `Retry-After` while the database is away
AGAIN_SECONDS: Final = 0.5  # between two tries to connect
_FULL: Final = "the disk is full"
_BROKEN: Final = "the disk cannot be read or written"
_DISK_FULL: Final = "53100"  # of PostgreSQL
_IO_ERROR: Final = "58030"


class Limits(NamedTuple):
    """All in seconds; 0: none.

    `silent`: after so long without an answer the server counts as away.
    `patient`: a statement may take longer, as long as the server answers on another connection.
    `statement`, `idle`: the server itself ends a longer statement, or a transaction that does nothing.
    `answer`: within so long whoever waits for the journal has an answer.
    """

    silent: float
    patient: bool
    statement: float
    idle: float
    answer: float = 0.0


def for_calls(seconds: float) -> Limits:
    """Of processes in which callers wait: every statement is short. `seconds`: until a caller has his answer, if the
    server answers nothing."""
    return Limits(silent=seconds * 0.8, patient=False, statement=seconds * 0.6, idle=10.0, answer=seconds)


def for_work(seconds: float) -> Limits:
    """Of processes that work in the background, or search for people."""
    return Limits(silent=seconds, patient=True, statement=300.0, idle=60.0)


class Server(NamedTuple):
    """One history of a database. After each promotion the timeline is higher. `system`: empty if nobody may read it."""

    system: str
    timeline: int


# No limit to a statement: backup, verification and move read whole tables, and would fail on the largest instances
# alone. Who gave the command waits, and can end it; no caller does. `silent` still ends what waits for a dead server,
# and `idle` what a stopped command holds.
FOR_COMMANDS: Final = Limits(silent=5.0, patient=True, statement=0.0, idle=600.0)


class Presence:
    """Whether the database answers, as the connections of one engine find it. Safe between threads.

    While it is away, one thread at a time tries to connect. The others fail at once.
    `trier`: the only thread that does, so that no caller waits; None: whichever comes. `until`: when those must have an
    answer who wait for it, by the monotonic clock.
    `silent`: while it is away, whether it answered nothing; else it refused, and connections that there are may work.
    `unconfirmed`: why its standby confirms nothing (`gateway.journal.standby`); None while it does, or need not.
    `alone`: a person let it go on without one.
    `limits`: those of its connections; None for SQLite.
    `server`: the newest that was connected (`gateway.journal.servers`); `refused`: why another one was left.
    `why`: the words of the attempt to connect that failed last.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.away = False
        self.silent = False
        self.unconfirmed: str | None = None
        self.alone = False
        self.limits: Limits | None = None
        self.server: Server | None = None
        self.refused: str | None = None
        self.why = ""
        self.host = ""  # that led to it
        self.trier: int | None = None  # by `threading.get_ident`
        self.until = float("inf")
        self._monotonic: Final = monotonic
        self._again_at = 0.0
        self._trying: Final = threading.Lock()

    def lost(self, *, silent: bool = True) -> None:
        self.silent = silent or self.away and self.silent
        self.away, self._again_at = True, self._monotonic() + AGAIN_SECONDS

    def found(self) -> None:
        self.away = self.silent = False

    def view(self) -> Presence:
        """For one attempt to connect, which may end when nobody waits for it any more."""
        made = Presence(self._monotonic)
        made.server, made.host = self.server, self.host
        return made

    def adopt(self, view: Presence) -> None:
        """What an attempt that succeeded has learned."""
        self.refused, self.host = None, view.host
        newest = None if self.server is None else self.server.timeline
        if view.server is not None and (newest is None or view.server.timeline >= newest):
            self.server = view.server

    def patience(self, seconds: float) -> float:
        """How long this thread may take to connect, of so many seconds."""
        if self.trier != threading.get_ident():
            return seconds
        return max(min(seconds, self.until - self._monotonic()), 0.0)

    @property
    def hindered(self) -> bool:
        """Whether nothing can be written, as far as this process knows."""
        return self.away or self.unconfirmed is not None

    def failure(self, reason: str) -> Ours:
        """What callers get meanwhile; `reason` where nothing more exact is known."""
        if self.refused is not None:
            return JOURNAL_OLD_PRIMARY(retry_after=RETRY_SECONDS, reason=self.refused)
        if self.unconfirmed is not None:
            return JOURNAL_NO_STANDBY(retry_after=RETRY_SECONDS, reason=self.unconfirmed)
        return JOURNAL_UNAVAILABLE(retry_after=RETRY_SECONDS, reason=reason)

    @contextmanager
    def attempt(self) -> Iterator[bool]:
        """Around an attempt to connect. False: not now."""
        if not self.away:
            yield True
        elif self.trier not in (None, threading.get_ident()) or self._monotonic() < self._again_at:
            yield False
        elif not self._trying.acquire(blocking=False):
            yield False
        else:
            try:
                yield True
            finally:
                self._trying.release()


_PRESENCES: Final[weakref.WeakKeyDictionary[Engine, Presence]] = weakref.WeakKeyDictionary()


def presence_of(engine: Engine) -> Presence:
    """The one of this engine. That of SQLite is never away."""
    return _PRESENCES.setdefault(engine, Presence())


def unavailable(error: Exception) -> Ours | None:
    """The failure for callers, if `error` says that the database is away; else None."""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    exact = exactly(error)
    if exact is not None:
        return exact
    if lost or isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return JOURNAL_UNAVAILABLE(retry_after=RETRY_SECONDS, reason=reason_of(error))
    return None


def passes(error: BaseException) -> bool:
    """Whether the same may succeed when the database is back, or has time."""
    if isinstance(error, Ours):
        return error.type.passing
    return isinstance(error, Exception) and unavailable(error) is not None


def may_stand(error: Exception) -> bool:
    """Whether the failed transaction may have been committed all the same."""
    if not isinstance(error, DBAPIError):
        return False
    stands = getattr(error.orig, "may_stand", None)
    return bool(error.connection_invalidated and exactly(error) is None if stands is None else stands)


def no_room(error: BaseException) -> bool:
    """Whether the disk of the database takes nothing more."""
    return (error.facts.get("reason") if isinstance(error, Ours) else reason_of(error)) in (_FULL, _BROKEN)


def reason_of(error: BaseException) -> str:
    """Why the database takes nothing, as a phrase of `phrases.yaml`; else the kind of error. No statement, no value."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF  # the primary code of an extended one
    under = getattr(cause, "__cause__", None)
    full = isinstance(under, OSError) and under.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or code == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) == _DISK_FULL:
        return _FULL
    if code == sqlite3.SQLITE_IOERR or getattr(cause, "sqlstate", None) == _IO_ERROR:
        return _BROKEN
    return type(error).__name__


def exactly(error: Exception) -> Ours | None:
    """The failure that the connection itself named: no standby, or an old primary."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    named: PlainErrorType[Ours] | None = getattr(cause, "failure", None)
    return None if named is None else named(retry_after=RETRY_SECONDS, reason=getattr(cause, "plain", str(cause)))


def unreached(trouble: Exception) -> bool:
    """Whether no connection was made, or the server answered nothing."""
    cause = trouble.orig if isinstance(trouble, DBAPIError) else None
    # psycopg has `pgconn` where no connection was made
    return getattr(cause, "pgconn", None) is not None or any(getattr(cause, each, False) for each in ("away", "silent"))


def only_standby(trouble: Exception) -> bool:
    """Whether a failure to connect says that a server answers, and that it is a standby (words of libpq 14 on)."""
    return "session is read-only" in str(trouble)
