"""The index beside the log: short digests of what each entry tells, filled behind the sequencer.

Theory of operation
1. The entries are the truth. A row holds digests of their facts (`facts`), never words: whoever found a row reads the entry and compares. A digest
   that two words share costs a look, and hides nothing.
2. The leading keeper fills it some hundreds of entries at a time, in transactions that check the lease's epoch; what is read and computed for
   them happens outside of them. It takes at most a fifth of one core, and waits for a few entries to come together: searching reads what is past
   the watermark from the log itself (`search`), so the index may lag.
3. The watermark moves in the transaction that writes the rows, from the very place where it was read. It bears the leaf of the last entry: a log
   that was replaced (restored, begun anew) has another one there, and the index is made anew.
4. Transfers' digests rise with their time, so that the newest rows are written side by side.
Invariant: every entry before the watermark has the one row that follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from gateway.audit.search import facts
from gateway.audit.search.facts import Facts
from gateway.audit.search.fields import FIELDS
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.statements import Cursor, Statements
from gateway.transfer import lease
from gateway.transfer.lease import Lease

LIMIT: Final = 400  # entries a transaction: other writers wait some ten milliseconds for it
NAME: Final = "search"
_ALL: Final = ("idx", *tables.LOG_INDEXED)


class Watermark(NamedTuple):
    upto: int
    leaf: bytes | None


def keys_of(told: Facts) -> dict[str, int | None]:
    """What stands in the row of an entry, by column, in the order of the table."""
    keys: dict[str, int | None] = {"trouble": int(told.trouble)}
    for name, field in FIELDS.items():
        value = getattr(told, field.fact or name)
        keys[field.column or name] = None if value is None else field.digest(value)
    return {column: keys[column] for column in tables.LOG_INDEXED}


def watermark(connection: Connection) -> Watermark:
    """How far the index goes. One of another log than this goes nowhere."""
    state, entry = tables.log_indexed.c, tables.log_entry.c
    row = connection.execute(select(state.upto, state.leaf).where(state.name == NAME)).first()
    if row is None or row[0] == 0:
        return Watermark(0, None)
    leaf = connection.scalar(select(entry.leaf).where(entry.idx == row[0] - 1))
    return Watermark(int(row[0]), bytes(row[1])) if leaf is not None and row[1] == leaf else Watermark(0, None)


class Indexer:
    """Fills the index; one a process."""

    def __init__(self, engine: Engine, lock: FileLock | None, *, limit: int = LIMIT) -> None:
        self._engine: Final = engine
        self._lock: Final = lock
        self._limit: Final = limit
        self._sql: Final = Statements(engine.dialect.name)

    def waiting(self) -> int:
        """How many entries have no row yet."""
        with self._engine.connect() as connection:
            top = connection.scalar(select(func.max(tables.log_entry.c.idx)))
            return 0 if top is None else int(top) + 1 - watermark(connection).upto

    def step(self, held: Lease | None) -> int:
        """Index the next entries; how many those were. Without a lease for whoever is asked to by a person."""
        table, state = tables.log_entry.c, tables.log_indexed
        with self._engine.connect() as connection:
            stored = connection.scalar(select(state.c.upto).where(state.c.name == NAME))
            at = watermark(connection)
            if stored != at.upto:
                start = None  # there is none yet, or it is of another log
            else:
                start = at.upto
                rows = connection.execute(
                    select(*facts.COLUMNS).where(table.idx >= start).order_by(table.idx).limit(self._limit)
                ).all()
                logged = facts.read(connection, rows)
                leaf = connection.scalar(select(table.leaf).where(table.idx == logged[-1].idx)) if logged else None
        if start is None:
            self.empty(held)
            return 0
        if not logged:
            return 0
        values = [(each.idx, *keys_of(each.facts).values()) for each in logged]
        with writing(self._engine, self._lock) as connection:
            moved = connection.execute(
                update(state)
                .where(state.c.name == NAME, state.c.upto == start)
                .values(upto=logged[-1].idx + 1, leaf=leaf)
            )
            if moved.rowcount != 1:  # somebody else was faster
                return 0
            self._sql.insert(cast(Cursor, connection.connection.cursor()), "log_index", _ALL, values)
            if held is not None:
                lease.check(connection, held)
        return len(values)

    def empty(self, held: Lease | None = None) -> None:
        """Throw the index away; it begins anew."""
        state = tables.log_indexed
        put: Any = insert_sqlite if self._engine.dialect.name == "sqlite" else insert_postgresql
        with writing(self._engine, self._lock) as connection:
            start = {"upto": 0, "leaf": None}
            connection.execute(
                put(state).values(name=NAME, **start).on_conflict_do_update(index_elements=[state.c.name], set_=start)
            )
            connection.execute(delete(tables.log_index))
            if held is not None:
                lease.check(connection, held)

    def remake(self) -> Iterator[int]:
        """Throw it away and make it anew, as far as the log goes now; how many entries are indexed so far, again and again."""
        self.empty()
        with self._engine.connect() as connection:
            top = connection.scalar(select(func.max(tables.log_entry.c.idx)))
        while top is not None:
            self.step(None)
            with self._engine.connect() as connection:
                upto = watermark(connection).upto
            yield upto
            if upto > top:
                return
