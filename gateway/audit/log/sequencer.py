"""The sequencer: moves pending rows to the log and the feeds, in one transaction that checks the lease's epoch.

Theory of operation:
1. Ids of pending rows are no order. The leader gives contiguous indexes to the log and contiguous offsets to each feed.
   Readers see only those.
2. The same transaction writes the tiles and the signed checkpoint. Then the checkpoint is written outside the database.
3. Before it signs, the tree must continue the checkpoint outside: the same root at that size. Where there is a head
   (`head`), a keeper that begins to lead also compares with it. A database that lacks
   signed entries (rolled back, restored, truncated) or holds other ones is never signed: `audit.inconsistent`.
4. A crash between commit and file leaves the file behind, as a prefix of the tree; the next run advances it. The file
   is never ahead. It exists (for the empty tree) before the first entry is sequenced. So a missing file beside a filled
   log is an attack or a loss.
5. Times of sequencing never go back, whatever the clock does.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.exc import DBAPIError

from gateway.audit.errors import AUDIT_INCONSISTENT
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.head import LogHead
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.tiles import BrokenTile, root_at, root_of_edge, tile_reader
from gateway.journal import epochs, feed_log, wakes
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.logged import next_phase
from gateway.journal.schema import tables
from gateway.journal.statements import Cursor, Row, Statements
from gateway.transfer import lease as leases
from security.transparency.merkle import leaf_hash
from security.transparency.tiles import Builder

LIMIT: Final = 500  # a run of that many delays other writers by some ten milliseconds
KEEP_SECONDS: Final = 60.0  # of checkpoints signed within a minute, the last one is kept
_logger: Final = logging.getLogger(__name__)
_ENTRY: Final = ("idx", "transfer", "phase", "entry", "leaf", "sequenced")
_TILE: Final = ("level", "number", "hashes")
_TILE_TAIL: Final = " ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes"
_EVENT: Final = ("contract", '"offset"', "transfer", "event", "body_ref", "sequenced")


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What one run did."""

    entries: int
    events: int
    size: int
    more: bool = False  # the limit was reached: run again at once

    @property
    def busy(self) -> bool:
        return self.entries + self.events > 0


@dataclass(slots=True)
class _State:
    """What is known from the run before; valid while the epoch is ours and every commit succeeded."""

    epoch: int
    edge: Builder
    root: bytes
    last: float  # the newest time of sequencing or signing
    offsets: dict[str, int]
    base: int  # the offset before the first one of the feeds' epoch
    outside: str | None = None  # the note outside, after it was checked


class Sequencer:
    """One per keeper process; not for several threads at once."""

    def __init__(
        self,
        engine: Engine,
        lock: FileLock | None,
        key: LogKey,
        file: CheckpointFile,
        *,
        limit: int = LIMIT,
        clock: Callable[[], float] = time.time,
        head: LogHead | None = None,
    ) -> None:
        """`head`: where the newest checkpoint stands too, outside the database and the machine."""
        self._engine: Final = engine
        self._lock: Final = lock
        self._key: Final = key
        self._file: Final = file
        self._limit: Final = limit
        self._clock: Final = clock
        self._head: Final = head
        self._sql: Final = Statements(engine.dialect.name)
        self._state: _State | None = None

    def run_once(self, lease: leases.Lease) -> Sequenced:
        """Sequences up to `limit` entries and events.

        Raises `audit.lease-lost` if a newer epoch began; then nothing was written.
        """
        state = self._state
        begins = state is None or state.epoch != lease.epoch
        if state is not None and not begins and self._nothing_waits():
            if self._head is not None:
                self._head.again()
            return Sequenced(0, 0, state.edge.size)
        self._state = None  # until the transaction is committed
        above = self._head.read() if begins and self._head is not None else None
        with writing(self._engine, self._lock) as connection:
            leases.check(connection, lease)
            if state is None or begins:
                state = self._load(connection, lease.epoch)
            self._check_inside(connection, state)
            if above is not None:
                self._check_continues(connection, state, above)
            first = self._check_outside(connection, state, above)
            note: str | None
            if first:
                done, note = Sequenced(0, 0, state.edge.size), self._sign(connection, state, self._now(state))
            else:
                done, note = self._sequence(connection, state)
                if done.events:
                    wakes.announce(connection, (wakes.FEED,))
        if note is not None:
            self._file.advance(note)
            state.outside = note
        newest = state.outside if begins else note
        if self._head is not None and newest is not None:
            self._head.advance(newest)
        self._state = state
        return done

    # --- the work -----------------------------------------------------------------------------------------------------
    def _nothing_waits(self) -> bool:
        with self._engine.connect() as connection:
            for table in (tables.log_pending, tables.feed_pending):
                if connection.execute(select(table.c.id).limit(1)).first() is not None:
                    return False
        return True

    def _sequence(self, connection: Connection, state: _State) -> tuple[Sequenced, str | None]:
        now = self._now(state)
        cursor = cast(Cursor, connection.connection.cursor())
        entries = self._entries(connection, cursor, state, now)
        events = self._events(connection, cursor, state, now)
        done = Sequenced(entries, events, state.edge.size, max(entries, events) >= self._limit)
        return done, self._sign(connection, state, now) if entries else self._behind(connection, state)

    def _entries(self, connection: Connection, cursor: Cursor, state: _State, now: float) -> int:
        table = tables.log_pending.c
        pending = connection.execute(
            select(table.id, table.transfer, table.phase, table.entry, table.leaf).order_by(table.id).limit(self._limit)
        ).all()
        if not pending:
            return 0
        start = state.edge.size
        rows: list[Row] = []
        for at, (_id, transfer, phase, entry, leaf) in enumerate(pending):
            if leaf_hash(entry) != leaf:
                raise AUDIT_INCONSISTENT(
                    reason=f"pending entry of transfer {transfer}, {phase}, is not what was committed",
                )
            rows.append((start + at, transfer, phase, entry, leaf, now))
        try:
            with connection.begin_nested():
                self._insert_entries(cursor, rows)
        except Exception as error:
            if isinstance(error, DBAPIError) or not self._sql.fault_of_unit(error):
                raise
            self._insert_entries(cursor, self._apart(connection, rows))
        for row in rows:
            state.edge.append(row[4])
        state.root = root_of_edge(state.edge)
        grown = [(tile.level, tile.number, tile.hashes) for tile in state.edge.take()]
        self._sql.insert(cursor, "log_tile", _TILE, grown, _TILE_TAIL)
        self._forget(connection, tables.log_pending, [row[0] for row in pending])
        return len(rows)

    def _insert_entries(self, cursor: Cursor, rows: Sequence[Row]) -> None:
        self._sql.insert(cursor, "log_entry", _ENTRY, rows)

    def _apart(self, connection: Connection, rows: Sequence[Row]) -> list[Row]:
        """Gives a second entry of the same transfer and phase a phase of its own.

        It is a fault of the gateway, but the entry was acknowledged, so it is logged.
        """
        table = tables.log_entry.c
        present = connection.execute(
            select(table.transfer, table.phase).where(table.transfer.in_({row[1] for row in rows}))
        )
        taken = defaultdict[str, set[str]](set)
        for transfer, phase in present:
            taken[transfer].add(phase)
        apart: list[Row] = []
        for idx, transfer, phase, entry, leaf, now in rows:
            name = next_phase(phase, taken[transfer])
            if name != phase:
                _logger.error("transfer %s has a second entry of phase %s: logged as %s", transfer, phase, name)
            taken[transfer].add(name)
            apart.append((idx, transfer, name, entry, leaf, now))
        return apart

    def _events(self, connection: Connection, cursor: Cursor, state: _State, now: float) -> int:
        table = tables.feed_pending.c
        pending = connection.execute(
            select(table.id, table.contract, table.transfer, table.event, table.body_ref)
            .order_by(table.id)
            .limit(self._limit)
        ).all()
        if not pending:
            return 0
        logged = tables.feed_event.c.transfer
        taken = set(connection.execute(select(logged).where(logged.in_([row[2] for row in pending]))).scalars())
        rows: list[Row] = []
        for _id, contract, transfer, event, body_ref in pending:
            if transfer not in taken:  # each message appears once
                state.offsets[contract] = offset = max(state.offsets.get(contract, 0), state.base) + 1
                rows.append((contract, offset, transfer, event, body_ref, now))
        self._sql.insert(cursor, "feed_event", _EVENT, rows)
        self._forget(connection, tables.feed_pending, [row[0] for row in pending])
        return len(rows)

    def _forget(self, connection: Connection, table: Any, ids: Sequence[int]) -> None:
        if self._sql.sqlite:  # no other writer meanwhile: all rows up to the last one were read
            connection.execute(delete(table).where(table.c.id <= ids[-1]))
        else:
            connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE id = ANY(%s)", (list(ids),))

    def _sign(self, connection: Connection, state: _State, now: float) -> str:
        note = self._key.sign(state.edge.size, state.root)
        table = tables.checkpoint
        newest = connection.execute(select(table.c.size, table.c.signed).order_by(table.c.size.desc()).limit(1)).first()
        if newest is not None and (newest[0] == state.edge.size or newest[1] // KEEP_SECONDS == now // KEEP_SECONDS):
            connection.execute(delete(table).where(table.c.size == newest[0]))
        connection.execute(table.insert().values(size=state.edge.size, root=state.root, note=note, signed=now))

        return note

    def _now(self, state: _State) -> float:
        state.last = max(state.last, self._clock())
        return state.last

    # --- what must hold before anything is signed ---------------------------------------------------------------------
    def _load(self, connection: Connection, epoch: int) -> _State:
        feed_log.begin(connection)
        size = _size(connection)
        try:
            edge = Builder.load(size, tile_reader(connection))
        except BrokenTile as error:
            raise AUDIT_INCONSISTENT(reason=str(error)) from error
        table = tables.feed_event.c
        offsets = {
            contract: int(top)
            for contract, top in connection.execute(
                select(table.contract, func.max(table.offset)).group_by(table.contract)
            )
        }
        times = [
            connection.execute(
                select(table.sequenced).where(table.contract == contract, table.offset == top)
            ).scalar_one()
            for contract, top in offsets.items()
        ]
        signed = connection.execute(
            select(tables.checkpoint.c.signed).order_by(tables.checkpoint.c.size.desc()).limit(1)
        ).scalar()
        return _State(
            epoch=epoch,
            edge=edge,
            root=root_of_edge(edge),
            last=max([signed or 0.0, *times]),
            offsets=offsets,
            base=epochs.base(connection),
        )

    def _check_inside(self, connection: Connection, state: _State) -> None:
        table = tables.checkpoint.c
        newest = connection.execute(select(table.size, table.root).order_by(table.size.desc()).limit(1)).first()
        size = _size(connection)
        signed_size, signed_root = (int(newest[0]), bytes(newest[1])) if newest is not None else (0, state.root)
        if not (size == state.edge.size == signed_size):
            raise AUDIT_INCONSISTENT(
                reason=f"the log holds {size} entries, its tiles {state.edge.size}, its checkpoint {signed_size}",
            )
        if signed_root != state.root:
            raise AUDIT_INCONSISTENT(reason=f"the tiles of {size} entries do not give the root that was signed")

    def _check_outside(self, connection: Connection, state: _State, above: str | None) -> bool:
        """Whether the log is new, so that nothing was ever signed.

        `above`: the head, which was checked. A machine without a file takes it, and goes on from there.
        """
        note = self._file.read()
        if note is None and above is not None:
            self._file.advance(above)
            note = above
        if note is None:
            if state.edge.size:
                raise AUDIT_INCONSISTENT(
                    reason=f"the log holds {state.edge.size} entries, and {self._file.path} is missing",
                )
            return True
        if note != state.outside:
            self._check_continues(connection, state, note)
            state.outside = note
        return False

    def _check_continues(self, connection: Connection, state: _State, note: str) -> None:
        size, root = self._key.verify(note)
        if size > state.edge.size:
            raise AUDIT_INCONSISTENT(reason=f"{size} entries were signed, and the database holds {state.edge.size}")
        try:
            ours = state.root if size == state.edge.size else root_at(connection, size)
        except BrokenTile as error:
            raise AUDIT_INCONSISTENT(reason=str(error)) from error
        if ours != root:
            raise AUDIT_INCONSISTENT(reason=f"the first {size} entries are not those that were signed")

    def _behind(self, connection: Connection, state: _State) -> str | None:
        """The newest checkpoint of the database, if the file has an earlier one."""
        if state.outside is None or self._key.verify(state.outside)[0] >= state.edge.size:
            return None
        table = tables.checkpoint.c
        return str(connection.execute(select(table.note).where(table.size == state.edge.size)).scalar_one())


def _size(connection: Connection) -> int:
    top = connection.execute(select(func.max(tables.log_entry.c.idx))).scalar()
    return 0 if top is None else int(top) + 1
