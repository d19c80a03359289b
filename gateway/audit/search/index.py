"""The search index beside the log: short digests of the facts of each entry, filled behind the sequencer.

Theory of operation:
1. The entries are authoritative. A row holds digests of their facts (`facts`), and a search reads the entry of a found
   row to compare. Values with equal digests cost time, and hide nothing.
2. The leading keeper indexes some hundreds of entries at a time, in transactions that check the lease's epoch. It reads
   and computes outside of them, takes at most a fifth of one core, and waits until some entries have come. The index
   may lag, as `search` reads entries past the watermark from the log itself.
3. The watermark moves in the transaction that writes the rows, only from the place where it was read. It bears the leaf
   of the last entry. A log that was replaced (restored, begun anew) has another leaf there, and is indexed again.
4. Digests of transfers grow with their time, so that the newest rows are close together.

5. An entry may concern several agencies (caller, owner, provider, reader). `log_party` has a row for each.

Invariant: every entry before the watermark has exactly the rows that follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from sqlalchemy import Connection, Engine, delete, func, select, update

from gateway.audit.search import facts
from gateway.audit.search.facts import Facts
from gateway.audit.search.fields import FIELDS
from gateway.journal.database import insert, snapshot, writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.statements import Cursor, Statements
from gateway.transfer import lease
from gateway.transfer.lease import Lease

LIMIT: Final = 400  # entries per transaction: delays other writers by some ten milliseconds
NAME: Final = "search"
REINDEX: Final = "reindex"  # a job of the desk, and the note of whoever had the index made anew
_ALL: Final = ("idx", *tables.LOG_INDEXED)
_PARTY: Final = ("party", "idx")


class Watermark(NamedTuple):
    upto: int
    leaf: bytes | None


def keys_of(entry: Facts) -> dict[str, int | None]:
    """The values of an entry's row, by column, in the order of the table."""
    keys: dict[str, int | None] = {"trouble": int(entry.trouble)}
    for name, field in FIELDS.items():
        value = getattr(entry, field.fact or name)
        keys[field.column or name] = None if value is None else field.digest(value)
    return {column: keys[column] for column in tables.LOG_INDEXED}


def parties_of(entry: Facts) -> frozenset[int]:
    """The digests of the agencies that an entry concerns: its rows of `log_party`."""
    digest = FIELDS["agency"].digest
    return frozenset(digest(each.agency) for each in entry.parties)


def watermark(connection: Connection) -> Watermark:
    """How far the index goes; zero if it is of another log."""
    state, entry = tables.log_indexed.c, tables.log_entry.c
    row = connection.execute(select(state.upto, state.leaf).where(state.name == NAME)).first()
    if row is None or row[0] == 0:
        return Watermark(0, None)
    leaf = connection.scalar(select(entry.leaf).where(entry.idx == row[0] - 1))
    return Watermark(int(row[0]), bytes(row[1])) if leaf is not None and row[1] == leaf else Watermark(0, None)


def reached(connection: Connection) -> tuple[int, int]:
    """How many entries are indexed, and how many there are."""
    top = connection.scalar(select(func.max(tables.log_entry.c.idx)))
    return watermark(connection).upto, 0 if top is None else int(top) + 1


class Indexer:
    """Fills the index; one per process."""

    def __init__(self, engine: Engine, lock: FileLock | None, *, limit: int = LIMIT) -> None:
        self.engine: Final = engine
        self.lock: Final = lock
        self._limit: Final = limit
        self._sql: Final = Statements(engine.dialect.name)

    def waiting(self) -> int:
        """Number of entries without a row."""
        with self.engine.connect() as connection:
            upto, size = reached(connection)
            return size - upto

    def step(self, keeper_lease: Lease | None) -> int:
        """Indexes the next entries; returns their number. `keeper_lease` is None for a command."""
        table, state = tables.log_entry.c, tables.log_indexed
        with snapshot(self.engine) as connection:  # or another indexer's step looks like an index of another log
            stored = connection.scalar(select(state.c.upto).where(state.c.name == NAME))
            at = watermark(connection)
            if stored != at.upto:
                start = None  # missing, or of another log
            else:
                start = at.upto
                rows = connection.execute(
                    select(*facts.COLUMNS).where(table.idx >= start).order_by(table.idx).limit(self._limit)
                ).all()
                logged = facts.read(connection, rows)
                leaf = connection.scalar(select(table.leaf).where(table.idx == logged[-1].idx)) if logged else None
        if start is None:
            self.empty(keeper_lease)
            return 0
        if not logged:
            return 0
        values = [(each.idx, *keys_of(each.facts).values()) for each in logged]
        parties = [(party, each.idx) for each in logged for party in sorted(parties_of(each.facts))]
        with writing(self.engine, self.lock) as connection:
            moved = connection.execute(
                update(state)
                .where(state.c.name == NAME, state.c.upto == start)
                .values(upto=logged[-1].idx + 1, leaf=leaf)
            )
            if moved.rowcount != 1:  # another indexer was faster
                return 0
            cursor = cast(Cursor, connection.connection.cursor())
            self._sql.insert(cursor, "log_index", _ALL, values)
            self._sql.insert(cursor, "log_party", _PARTY, parties)
            if keeper_lease is not None:
                lease.check(connection, keeper_lease)
        return len(values)

    def empty(self, keeper_lease: Lease | None = None) -> None:
        """Empties the index."""
        state = tables.log_indexed
        with writing(self.engine, self.lock) as connection:
            start = {"upto": 0, "leaf": None}
            connection.execute(
                insert(connection, state)
                .values(name=NAME, **start)
                .on_conflict_do_update(index_elements=[state.c.name], set_=start)
            )
            connection.execute(delete(tables.log_index))
            connection.execute(delete(tables.log_party))
            if keeper_lease is not None:
                lease.check(connection, keeper_lease)

    def remake(self) -> Iterator[int]:
        """Creates the index again up to the present end of the log; yields the number of entries indexed so far."""
        self.empty()
        with self.engine.connect() as connection:
            top = connection.scalar(select(func.max(tables.log_entry.c.idx)))
        while top is not None:
            self.step(None)
            with self.engine.connect() as connection:
                upto = watermark(connection).upto
            yield upto
            if upto > top:
                return
