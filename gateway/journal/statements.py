"""The journal's SQL for both databases, kept as prepared text by number of rows.

Many rows go in one statement: each statement of SQLite releases and takes the interpreter lock, which costs more than a
row does. There are few texts (1 to 16 rows, then 64 at a time), so that the drivers' statement caches hold them all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

from gateway.journal.schema import tables
from gateway.journal.write import TransferChange

Row = tuple[Any, ...]
WIDE: Final = 64
NARROW: Final = 16
READ_ONLY: Final = "25006"
# Connection exceptions; an operator's intervention; a transaction that was idle or open for too long; a standby.
_LOST: Final = ("08", "57P", "25P03", "25P04", READ_ONLY)

TRANSFER_COLUMNS: Final = tuple(column.name for column in tables.transfer.columns)
_CHANGE_COLUMNS: Final = TransferChange._fields
_STEP: Final = ("key", "previous", "changed")
_CHANGE_TYPES: Final = ("text", "text", "text", "text", "double precision", "integer", "text", "text", "text", "text")


class Cursor(Protocol):
    """The methods that the DBAPI cursors of both drivers share."""

    @property
    def connection(self) -> Any: ...
    def execute(self, statement: str, parameters: Row = ..., /) -> object: ...
    def fetchall(self) -> list[Row]: ...
    def fetchone(self) -> Row | None: ...


class Statements:
    """All statements of one dialect; `name` is SQLAlchemy's name of it."""

    def __init__(self, name: str) -> None:
        self.sqlite: Final = name == "sqlite"
        self._mark: Final = "?" if self.sqlite else "%b"  # binary parameters: no escaping of bodies
        self.alive: Final = self._marked(
            "SELECT state FROM process WHERE id = ?"
            if self.sqlite
            else "SELECT state, pg_current_xact_id()::text FROM process WHERE id = ? FOR SHARE"
        )
        heard = "" if self.sqlite else ", heard = extract(epoch FROM clock_timestamp())"
        self.beat: Final = self._marked(f"UPDATE process SET seen = ?{heard} WHERE id = ? AND state = 'alive'")
        self.forget_replay: Final = self._marked("DELETE FROM replay WHERE key = ?")
        self.disown: Final = self._marked(
            "UPDATE transfer SET process = NULL WHERE id = ANY(?) AND process = ? AND state = 'forwarding'"
        )
        self.xact_status: Final = self._marked("SELECT pg_xact_status(CAST(? AS xid8))")
        names = ", ".join(TRANSFER_COLUMNS)
        self.existing: Final = self._marked(
            f"SELECT {names} FROM transfer"
            " WHERE caller_system = ? AND contract = ? AND operation = ? AND message_id = ?"
        )
        self.existing_id: Final = self._marked(f"SELECT {names} FROM transfer WHERE id = ?")
        self.place: Final = self._marked(PLACE)
        self.use_quota: Final = self._marked(
            "INSERT INTO quota_use (grant_id, agency, per, begins, used) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (grant_id, agency, per, begins) DO UPDATE SET used = quota_use.used + excluded.used"
            " WHERE quota_use.used + excluded.used <= ? RETURNING used"
        )
        self._values = lru_cache(maxsize=2048)(self._make)
        self._reads = lru_cache(maxsize=256)(self._make_read)

    def fault_of_unit(self, error: Exception) -> bool:
        """Whether the values of a unit caused the error, not the state of the database or connection."""
        if self.sqlite:
            return not isinstance(error, sqlite3.OperationalError)
        import psycopg  # here and below: loaded only with PostgreSQL, as it takes 9 MiB per process

        operational = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return not operational and not self.connection_lost(error)

    def worth_repeating(self, error: Exception) -> bool:
        """Whether another writer's transaction interfered, so that a repetition may succeed."""
        if self.sqlite:
            return False
        import psycopg

        return isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure)

    def connection_lost(self, error: Exception) -> bool:
        if self.sqlite:
            return False
        import psycopg

        if not isinstance(error, psycopg.Error):
            return False
        if error.sqlstate is None:
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return error.sqlstate.startswith(_LOST)

    def read_only(self, error: Exception) -> bool:
        """Whether the server takes no writes any more: it became a standby."""
        return getattr(error, "sqlstate", None) == READ_ONLY

    def insert(self, cursor: Cursor, table: str, columns: tuple[str, ...], rows: Sequence[Row], tail: str = "") -> None:
        self._run(cursor, f"INSERT INTO {table} ({', '.join(columns)}) VALUES ", columns, None, rows, tail)

    def insert_new(
        self, cursor: Cursor, table: str, columns: tuple[str, ...], rows: Sequence[Row], key: str
    ) -> set[Any]:
        """Inserts rows that are new; returns the values of `key` of the inserted rows."""
        head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
        return self._run(cursor, head, columns, None, rows, f" ON CONFLICT DO NOTHING RETURNING {key}")

    def put_keys(self, cursor: Cursor, columns: tuple[str, ...], rows: Sequence[Row]) -> set[Any]:
        """Writes rows of business keys; returns the keys whose row was new, or was as `previous` says. What stood there
        goes to `feed_key_past`.
        """
        at, before, changed = (columns.index(name) for name in ("key", "previous", "changed"))
        steps = [(row[at], row[before], row[changed]) for row in rows if row[before] is not None]
        names = ", ".join(columns)
        self._run(
            cursor,
            "WITH step (key, previous, changed) AS (VALUES ",
            _STEP,
            None if self.sqlite else ("text",) * len(_STEP),
            steps,
            f") INSERT INTO feed_key_past ({names}, replaced)"
            f" SELECT {', '.join(f'feed_key.{name}' for name in columns)}, step.changed FROM step"
            " JOIN feed_key ON feed_key.key = step.key AND feed_key.changed = step.previous",
        )
        sets = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "key")
        head = f"INSERT INTO feed_key ({', '.join(columns)}) VALUES "
        tail = f" ON CONFLICT (key) DO UPDATE SET {sets} WHERE feed_key.changed = excluded.previous RETURNING key"
        return self._run(cursor, head, columns, None, rows, tail)

    def step_handling(self, cursor: Cursor, columns: tuple[str, ...], row: Row) -> bool:
        """Changes a handling, if its version is the one before; whether it was."""
        values = dict(zip(columns, row, strict=True))
        sets = ", ".join(f"{name} = ?" for name in columns)
        statement = self._marked(f"UPDATE handling SET {sets} WHERE id = ? AND version = ? RETURNING id")
        cursor.execute(statement, (*row, values["id"], values["version"] - 1))
        return cursor.fetchone() is not None

    def stands(self, cursor: Cursor, entry: tuple[str, str] | None, replay: bytes | None) -> bool:
        """Whether an entry of the log stands, sequenced or not; without one, whether the replay key does."""
        if entry is not None:
            where = "WHERE transfer = ? AND phase = ?"
            statement = f"SELECT 1 FROM log_pending {where} UNION ALL SELECT 1 FROM log_entry {where}"
            cursor.execute(self._marked(statement), (*entry, *entry))
        else:
            cursor.execute(self._marked("SELECT 1 FROM replay WHERE key = ?"), (replay,))
        return cursor.fetchone() is not None

    def are_open(self, cursor: Cursor, handlings: Collection[str]) -> bool:
        """Whether these handlings exist and have not ended. Their rows are locked, in one order for all processes."""
        marks = ", ".join("?" * len(handlings))
        lock = "" if self.sqlite else " FOR UPDATE"
        statement = self._marked(f"SELECT ended FROM handling WHERE id IN ({marks}) ORDER BY id{lock}")
        cursor.execute(statement, tuple(sorted(handlings)))
        rows = cursor.fetchall()
        return len(rows) == len(handlings) and not any(row[0] for row in rows)

    def change(self, cursor: Cursor, rows: Sequence[Row]) -> set[Any]:
        """Applies guarded changes; returns the ids of the transfers whose guard held.

        Each id may occur once in `rows`.
        """
        head = f"WITH step ({', '.join(_CHANGE_COLUMNS)}) AS (VALUES "
        return self._run(cursor, head, _CHANGE_COLUMNS, None if self.sqlite else _CHANGE_TYPES, rows, _CHANGE_TAIL)

    def read(
        self, cursor: Cursor, table: str, columns: tuple[str, ...], key: str, values: tuple[Any, ...]
    ) -> list[Row]:
        """The rows whose `key` is one of these values, in no order."""
        if not self.sqlite:
            cursor.execute(self._reads(table, columns, key, 1), (list(values),))
            return cursor.fetchall()
        rows: list[Row] = []
        start = 0
        while start < len(values):
            left = len(values) - start
            size = left if left <= NARROW else WIDE if left >= WIDE else NARROW
            cursor.execute(self._reads(table, columns, key, size), values[start : start + size])
            rows += cursor.fetchall()
            start += size
        return rows

    def _make_read(self, table: str, columns: tuple[str, ...], key: str, size: int) -> str:
        which = f"IN ({', '.join('?' * size)})" if self.sqlite else f"= ANY({self._mark})"
        return f"SELECT {', '.join(columns)} FROM {table} WHERE {key} {which}"

    def _run(
        self,
        cursor: Cursor,
        head: str,
        columns: tuple[str, ...],
        types: tuple[str, ...] | None,
        rows: Sequence[Row],
        tail: str,
    ) -> set[Any]:
        back: set[Any] = set()
        start, left = 0, len(rows)
        returning = "RETURNING" in tail
        while left:
            size = left if left <= NARROW else WIDE if left >= WIDE else NARROW
            parameters: list[Any] = []
            for row in rows[start : start + size] if left != size or start else rows:
                parameters += row
            cursor.execute(self._values(head, len(columns), types, size, tail), tuple(parameters))
            if returning:
                back.update([row[0] for row in cursor.fetchall()])
            start += size
            left -= size
        return back

    def _make(self, head: str, width: int, types: tuple[str, ...] | None, size: int, tail: str) -> str:
        row = "(" + ", ".join([self._mark] * width) + ")"
        first = row if types is None else "(" + ", ".join(f"CAST({self._mark} AS {kind})" for kind in types) + ")"
        return head + ", ".join([first] + [row] * (size - 1)) + tail

    def _marked(self, text: str) -> str:
        return text if self.sqlite else text.replace("?", self._mark)


_CHANGE_TAIL: Final = (
    ") UPDATE transfer SET state = step.state, process = COALESCE(step.owner, transfer.process), status = step.status,"
    " failure = step.failure, finished = COALESCE(step.finished, transfer.finished),"
    " answer_ref = COALESCE(step.answer_ref, transfer.answer_ref), receipt = COALESCE(step.receipt, transfer.receipt)"
    " FROM step WHERE transfer.id = step.id AND transfer.state = step.before"
    " AND (step.process IS NULL OR transfer.process = step.process) RETURNING transfer.id"
)
QUEUE_TAIL: Final = (
    " ON CONFLICT (transfer) DO UPDATE SET provider = excluded.provider, body_ref = excluded.body_ref,"
    " state = excluded.state, tries = excluded.tries, next_at = excluded.next_at, epoch = NULL,"
    " last_failure = excluded.last_failure, priority = excluded.priority, order_key = excluded.order_key,"
    " callback = excluded.callback"
)
# The next place of its key, once. On PostgreSQL two messages that are committed at the same time may get one place;
# neither was acknowledged before the other came.
PLACE: Final = (
    "UPDATE queue SET place = (SELECT COALESCE(MAX(other.place), 0) + 1 FROM queue other"
    " WHERE other.order_key = queue.order_key) WHERE transfer = ? AND place = 0"
)
