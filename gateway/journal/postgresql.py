"""Connections to PostgreSQL that wait for no server for ever.

psycopg is imported here alone, and this module only where the database is PostgreSQL: it takes 9 MiB a process.

Theory of operation:
1. The server ends long statements and idle transactions by its own limits. A server that is frozen, or cut off, does
   not. So each wait for an answer has a limit here too; then the connection is closed and counts as lost.
2. TCP finds a dead peer by keepalives and `tcp_user_timeout`. Parameters in the database's address replace these.
   To connect to a silent host takes libpq two seconds at least, and there may be several. Callers wait less; a
   process that begins, and the thread that tries again, do not, or one silent host would keep them from the others.
3. A server that takes no writes (SQLSTATE 25006: it became a standby) counts as lost too.
4. A connection that is taken from the pool is asked whether its server is there, unless it answered within a second.
   While the server is silent it is left, so that nobody waits for each of them.
5. After a loss `Presence` lets one thread at a time try again: that of the journal, in a process that has one.
6. Each COMMIT of each writer goes through `Connection.confirming`: with `standby: required` it counts only when a
   synchronous standby has it (`gateway.journal.standby`). A server that was replaced meanwhile gets none
   (`gateway.journal.servers`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy import Connection as SqlConnection
from sqlalchemy.engine import ExceptionContext

from gateway.journal.limits import Limits, Presence, Server, presence_of
from gateway.journal.servers import OldPrimary, connected, others
from gateway.journal.standby import Guard, Unconfirmed
from gateway.journal.statements import READ_ONLY

_T = TypeVar("_T")
_OF_SILENT: Final = 0.75  # of the time that a caller waits, for the answer to COMMIT
_FOR_COMMIT: Final = 0.25  # of the time that a caller waits: statements before COMMIT leave so much of it
_LEAST_SECONDS: Final = 0.05
_CONNECT_SECONDS: Final = 2  # the least that libpq takes
_FRESH_SECONDS: Final = 1.0  # a server that starts again takes longer


class Away(psycopg.OperationalError):
    """Nothing was asked: an attempt failed a moment before, or another thread tries. In the words of that attempt."""

    away: Final = True


class Silent(psycopg.OperationalError):
    """The server answers nothing: nobody can say what became of the statement."""

    silent: Final = True


class Late(psycopg.OperationalError):
    """A statement took longer than whoever waits can wait: the server may only be slow."""

    late: Final = True


class Connection(psycopg.Connection[Any]):
    """A connection whose waits are limited. `limits` and `presence` are those of its engine; `guard`: None where no
    standby is required; `server`: None for a standby.
    """

    limits: Limits
    presence: Presence
    place: dict[str, Any]
    guard: Guard | None = None
    server: Server | None = None
    committing = False
    warned = False
    until = float("inf")  # when whoever waits must have an answer, by the monotonic clock
    answered = float("-inf")  # when the server answered last, by the monotonic clock

    def wait(self, gen: PQGen[_T], interval: float = 0.1, timeout: float | None = None) -> _T:
        presence = getattr(self, "presence", None)
        if timeout is not None or presence is None or self.limits.silent <= 0:
            return super().wait(gen, interval, timeout)
        while True:
            most, left = self._limits()
            try:
                answer = super().wait(gen, interval, max(min(most, left), _LEAST_SECONDS))
                self.answered = time.monotonic()
                return answer
            except _WaitTimeout:
                if self.committing and self.guard is not None:
                    self.guard.doubt("COMMIT got no answer")
                    if left >= most:  # else it may only be slow
                        presence.lost()
                    self.pgconn.finish()
                    raise Unconfirmed("COMMIT got no answer", silent=True) from None
                if self.limits.patient and self._answers():
                    continue
                if left < most / 2 and not self.committing:
                    self.pgconn.finish()
                    raise Late("a statement took longer than they can wait") from None
                presence.lost()
                self.pgconn.finish()
                raise Silent("the database answers nothing") from None

    def _limits(self) -> tuple[float, float]:
        """How long an answer may take, and how long whoever waits can wait for it."""
        left = self.until - time.monotonic()
        if self.committing:
            return self.limits.silent if self.guard is None else self.guard.seconds, left
        most = self.limits.silent / (4 if self.presence.away else 1)
        return most, left - self.limits.answer * _FOR_COMMIT

    def commit(self) -> None:
        with self.confirming():
            super().commit()

    @contextmanager
    def confirming(self) -> Iterator[None]:
        """Around COMMIT. Raises `Lacking` or `OldPrimary` before it, and `Unconfirmed` after it."""
        newest = self.presence.server
        if newest is not None and self.server is not None and newest.timeline > self.server.timeline:
            self.pgconn.finish()
            raise OldPrimary(f"timeline {self.server.timeline}, newest: {newest.timeline}")
        if self.guard is not None:
            self.guard.before(self)
        self.warned, self.committing = False, True
        try:
            yield
        finally:
            self.committing = False
        if self.warned and self.guard is not None:
            self.guard.doubt("the wait for the standby was ended")
            raise Unconfirmed("the wait for the standby was ended")

    def hear(self, notice: psycopg.errors.Diagnostic) -> None:
        """A warning during COMMIT: it stands here, and perhaps not on the standby."""
        self.warned = self.warned or notice.severity_nonlocalized == "WARNING"

    def _answers(self) -> bool:
        """Whether the server answers another connection."""
        with self.presence.attempt() as now:
            if not now:  # another thread knows
                return not self.presence.silent
            try:
                with Connection.connect(**self.place) as other:
                    other.limits, other.presence = self.limits._replace(patient=False), self.presence
                    other.execute("SELECT 1")
                self.presence.found()
                return True
            except psycopg.Error:
                return False


def engine_of(url: URL, limits: Limits, *, reading: bool, standby: bool = False, folder: Path | None = None) -> Engine:
    """An engine with SQLAlchemy's pool. `reading`: it cannot write; `standby`: one is required; `folder`: where this
    machine keeps which server it saw last.
    """
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_recycle=1800,
        pool_timeout=limits.silent,
        connect_args=_network(url, limits.silent),
    )
    first, presence = "; ".join(_session(limits, reading)), presence_of(engine)
    presence.limits = limits
    guard = Guard(presence, limits.silent * _OF_SILENT) if standby and not reading else None

    def make(view: Presence, place: dict[str, Any]) -> Connection:
        made = Connection.connect(autocommit=True, **place)
        made.limits, made.presence, made.place = limits, view, place
        try:
            made.execute(first)
        except BaseException:
            made.close()
            raise
        return made

    def connect(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> Connection:
        with presence.attempt() as now:
            if not now:
                raise Away(presence.why or "the database is away")
            view = presence.view()
            work = partial(connected, partial(make, view), {"conninfo": "".join(arguments), **named}, view, folder)
            waits = not limits.patient and presence.server is not None and not presence.away
            try:
                made = _in_time(work, presence.patience(limits.silent), presence, view) if waits else work()
            except psycopg.OperationalError as error:
                presence.refused, presence.why = view.refused, str(error)
                presence.lost(silent=isinstance(error, Silent | psycopg.errors.ConnectionTimeout))
                presence.unconfirmed = None  # this is worse
                raise
            presence.adopt(view)
            made.presence = presence
            made.autocommit, made.guard = False, guard
            if guard is not None:
                made.add_notice_handler(made.hear)
            presence.found()
            return made

    ping = engine.dialect.do_ping

    def is_there(dbapi_connection: Any) -> bool:
        if presence.silent:
            return False
        if time.monotonic() - dbapi_connection.answered < _FRESH_SECONDS and not dbapi_connection.closed:
            return True
        if there := ping(dbapi_connection):
            presence.found()
        return there

    engine.dialect.do_ping = is_there  # type: ignore[method-assign]
    event.listen(engine, "do_connect", connect)
    if not reading:
        event.listen(engine, "handle_error", _lost_if_read_only)
    return engine


def _in_time(work: Callable[[], Connection], seconds: float, presence: Presence, view: Presence) -> Connection:
    """The connection, if it is there by then. One that comes later is closed, and its host is tried first next time."""
    answer: Future[Connection] = Future()

    def late(ended: Future[Connection]) -> None:
        if ended.exception() is None:
            presence.host = view.host
            ended.result().close()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as trouble:
            answer.set_exception(trouble)

    try:
        threading.Thread(target=run, name="connecting", daemon=True).start()
    except RuntimeError as trouble:  # no more threads
        raise psycopg.OperationalError(str(trouble)) from None
    try:
        return answer.result(seconds)
    except TimeoutError:
        answer.add_done_callback(late)
        raise Silent("the database takes no connection") from None


def other_primaries(connection: SqlConnection) -> list[str]:
    """The other hosts of its address where a server takes writes too. Waits some seconds for one that is silent."""
    leads = connection.connection.driver_connection
    if not isinstance(leads, Connection) or leads.server is None:
        return []
    url, limits = connection.engine.url, leads.limits._replace(patient=False)
    arguments, named = connection.dialect.create_connect_args(url)

    def make(place: dict[str, Any]) -> Connection:
        made = Connection.connect(autocommit=True, **place)
        made.limits, made.presence = limits, Presence()
        return made

    whole = {"conninfo": "".join(arguments), **named, **_network(url, limits.silent)}
    return others(make, whole, leads)


def _network(url: URL, silent: float) -> dict[str, Any]:
    """What the address itself does not say."""
    wanted: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": round(max(silent, 1.0) * 3000),
    }
    return {name: value for name, value in wanted.items() if name not in url.query}


def _session(limits: Limits, reading: bool) -> list[str]:
    return [
        "SET synchronous_commit = on",
        "SET TIME ZONE 'UTC'",
        f"SET statement_timeout = {round(limits.statement * 1000)}",
        f"SET idle_in_transaction_session_timeout = {round(limits.idle * 1000)}",
        *(["SET default_transaction_read_only = on"] if reading else []),
    ]


def _lost_if_read_only(context: ExceptionContext) -> None:
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True
