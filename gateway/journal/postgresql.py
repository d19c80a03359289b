"""Connections to PostgreSQL that wait for no server for ever.

psycopg is imported here alone, and this module only where the database is PostgreSQL: it takes 9 MiB a process.

Theory of operation:
1. The server ends long statements and idle transactions by its own limits. A server that is frozen, or cut off, does
   not. So each wait for an answer has a limit here too; then the connection is closed and counts as lost.
2. TCP finds a dead peer by keepalives and `tcp_user_timeout`. Parameters in the database's address replace these.
3. A server that takes no writes (SQLSTATE 25006: it became a standby) counts as lost too.
4. After a loss `Presence` lets one thread at a time try again, so that callers do not queue for a dead server.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext

from gateway.journal.limits import Limits, Presence, presence_of
from gateway.journal.statements import READ_ONLY

_T = TypeVar("_T")
_CONNECT_SECONDS: Final = 2  # the least that libpq takes


class Silent(psycopg.OperationalError):
    """The server answers nothing: nobody can say what became of the statement."""

    silent: Final = True


class Connection(psycopg.Connection[Any]):
    """A connection whose waits are limited. `limits` and `presence` are those of its engine."""

    limits: Limits
    presence: Presence
    place: dict[str, Any]

    def wait(self, gen: PQGen[_T], interval: float = 0.1, timeout: float | None = None) -> _T:
        presence = getattr(self, "presence", None)
        if timeout is not None or presence is None or self.limits.silent <= 0:
            return super().wait(gen, interval, timeout)
        while True:
            try:
                return super().wait(gen, interval, self.limits.silent / (4 if presence.away else 1))
            except _WaitTimeout:
                if self.limits.patient and self._answers():
                    continue
                presence.lost()
                self.pgconn.finish()
                raise Silent("the database answers nothing") from None

    def _answers(self) -> bool:
        """Whether the server answers another connection."""
        impatient = self.limits._replace(patient=False)
        with self.presence.attempt() as now:
            if not now:
                return False
            try:
                with _connected(self.place, impatient, self.presence) as other:
                    other.execute("SELECT 1")
                return True
            except psycopg.Error:
                return False


def _connected(place: dict[str, Any], limits: Limits, presence: Presence) -> Connection:
    try:
        made = Connection.connect(**place)
    except psycopg.OperationalError:
        presence.lost()
        raise
    made.limits, made.presence, made.place = limits, presence, place
    return made


def engine_of(url: URL, limits: Limits, *, reading: bool) -> Engine:
    """An engine with SQLAlchemy's pool. `reading`: it cannot write."""
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_recycle=1800,
        pool_timeout=limits.silent,
        connect_args=_network(url, limits.silent),
    )
    first, presence = "; ".join(_session(limits, reading)), presence_of(engine)

    def connect(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> Connection:
        with presence.attempt() as now:
            if not now:
                raise psycopg.OperationalError("the database is away")
            made = _connected({"conninfo": "".join(arguments), **named}, limits, presence)
            try:
                made.autocommit = True
                made.execute(first)
                made.autocommit = False
            except BaseException:
                made.close()
                raise
            presence.found()
            return made

    event.listen(engine, "do_connect", connect)
    if not reading:
        event.listen(engine, "handle_error", _lost_if_read_only)
    return engine


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
