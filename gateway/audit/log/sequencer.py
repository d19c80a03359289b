"""The sequencer: moves what is pending to the log and to the feeds, in one transaction that holds the lease's epoch.

Theory of operation
1. Ids of pending rows are no order. The leader gives contiguous indexes to the log and contiguous offsets to each feed; readers see only those.
2. With the entries go their tiles and the signed checkpoint. Then the checkpoint is written outside the database.
3. Before it signs, the tree must continue the checkpoint outside: the same root at that size. A database that lacks entries which were signed
   (rolled back, restored, truncated), or holds other ones, is never signed over: `audit.inconsistent`.
4. A crash between commit and file leaves the file behind, as a prefix of the tree: the next run brings it forward. The file is never ahead,
   and it stands (for the empty tree) before the first entry is sequenced: so a missing file beside a filled log is an attack or a loss.
5. Times of sequencing never go back, whatever the clock does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.exc import DBAPIError

from gateway.audit.errors import AUDIT_INCONSISTENT
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.tiles import BrokenTile, root_at, root_of_edge, tile_reader
from gateway.journal import epochs
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.statements import Cursor, Row, Statements
from gateway.transfer import lease as leases
from security.transparency.merkle import leaf_hash
from security.transparency.tiles import Builder

LIMIT: Final = 500  # a run of that many holds other writers up for some ten milliseconds
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
    more: bool = False  # it was full: go on at once

    @property
    def busy(self) -> bool:
        return self.entries + self.events > 0


@dataclass(slots=True)
class _Held:
    """What is known from the run before; holds while the epoch is ours and every commit succeeded."""

    epoch: int
    edge: Builder
    root: bytes
    signed: float
    last: float
    offsets: dict[str, int]
    base: int  # the offset before the first one of the feeds' epoch
    outside: str | None = None  # the note outside, once it was found to agree


class Sequencer:
    """One a keeper process; not for several threads at once."""

    def __init__(
        self,
        engine: Engine,
        lock: FileLock | None,
        key: LogKey,
        file: CheckpointFile,
        *,
        limit: int = LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine: Final = engine
        self._lock: Final = lock
        self._key: Final = key
        self._file: Final = file
        self._limit: Final = limit
        self._clock: Final = clock
        self._sql: Final = Statements(engine.dialect.name)
        self._held: _Held | None = None

    def run_once(self, lease: leases.Lease) -> Sequenced:
        """Sequence up to `limit` entries and events. `audit.lease-lost` if a newer epoch began; then nothing was written."""
        held = self._held
        if held is not None and held.epoch == lease.epoch and self._nothing_waits():
            return Sequenced(0, 0, held.edge.size)
        self._held = None  # until the transaction stands
        with writing(self._engine, self._lock) as connection:
            leases.check(connection, lease)
            if held is None or held.epoch != lease.epoch:
                held = self._load(connection, lease.epoch)
            self._check_inside(connection, held)
            first = self._check_outside(connection, held)
            note: str | None
            if first:
                done, note = Sequenced(0, 0, held.edge.size), self._sign(connection, held, self._now(held))
            else:
                done, note = self._sequence(connection, held)
        if note is not None:
            self._file.advance(note)
            held.outside = note
        self._held = held
        return done

    # --- the work -----------------------------------------------------------------------------------------------------
    def _nothing_waits(self) -> bool:
        with self._engine.connect() as connection:
            for table in (tables.log_pending, tables.feed_pending):
                if connection.execute(select(table.c.id).limit(1)).first() is not None:
                    return False
        return True

    def _sequence(self, connection: Connection, held: _Held) -> tuple[Sequenced, str | None]:
        now = self._now(held)
        cursor = cast(Cursor, connection.connection.cursor())
        entries = self._entries(connection, cursor, held, now)
        events = self._events(connection, cursor, held, now)
        done = Sequenced(entries, events, held.edge.size, max(entries, events) >= self._limit)
        return done, self._sign(connection, held, now) if entries else self._behind(connection, held)

    def _entries(self, connection: Connection, cursor: Cursor, held: _Held, now: float) -> int:
        table = tables.log_pending.c
        pending = connection.execute(
            select(table.id, table.transfer, table.phase, table.entry, table.leaf).order_by(table.id).limit(self._limit)
        ).all()
        if not pending:
            return 0
        start = held.edge.size
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
            held.edge.append(row[4])
        held.root = root_of_edge(held.edge)
        grown = [(tile.level, tile.number, tile.hashes) for tile in held.edge.take()]
        self._sql.insert(cursor, "log_tile", _TILE, grown, _TILE_TAIL)
        self._forget(connection, tables.log_pending, [row[0] for row in pending])
        return len(rows)

    def _insert_entries(self, cursor: Cursor, rows: Sequence[Row]) -> None:
        self._sql.insert(cursor, "log_entry", _ENTRY, rows)

    def _apart(self, connection: Connection, rows: Sequence[Row]) -> list[Row]:
        """A second entry of the same transfer and phase is a fault of ours; it was acknowledged, so it is logged, under a phase of its own."""
        table = tables.log_entry.c
        found = connection.execute(
            select(table.transfer, table.phase).where(table.transfer.in_({row[1] for row in rows}))
        )
        standing = {(transfer, phase) for transfer, phase in found}
        apart: list[Row] = []
        for idx, transfer, phase, entry, leaf, now in rows:
            name, count = phase, 1
            while (transfer, name) in standing:
                count += 1
                name = f"{phase}#{count}"
            if name != phase:
                _logger.error("transfer %s has a second entry of phase %s: logged as %s", transfer, phase, name)
            standing.add((transfer, name))
            apart.append((idx, transfer, name, entry, leaf, now))
        return apart

    def _events(self, connection: Connection, cursor: Cursor, held: _Held, now: float) -> int:
        table = tables.feed_pending.c
        pending = connection.execute(
            select(table.id, table.contract, table.transfer, table.event, table.body_ref)
            .order_by(table.id)
            .limit(self._limit)
        ).all()
        if not pending:
            return 0
        done = tables.feed_event.c.transfer
        standing = set(connection.execute(select(done).where(done.in_([row[2] for row in pending]))).scalars())
        rows: list[Row] = []
        for _id, contract, transfer, event, body_ref in pending:
            if transfer not in standing:  # each message appears once
                held.offsets[contract] = offset = max(held.offsets.get(contract, 0), held.base) + 1
                rows.append((contract, offset, transfer, event, body_ref, now))
        self._sql.insert(cursor, "feed_event", _EVENT, rows)
        self._forget(connection, tables.feed_pending, [row[0] for row in pending])
        return len(rows)

    def _forget(self, connection: Connection, table: Any, ids: Sequence[int]) -> None:
        if self._sql.sqlite:  # nobody else writes meanwhile, so all rows up to the last one were read
            connection.execute(delete(table).where(table.c.id <= ids[-1]))
        else:
            connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE id = ANY(%s)", (list(ids),))

    def _sign(self, connection: Connection, held: _Held, now: float) -> str:
        note = self._key.sign(held.edge.size, held.root)
        table = tables.checkpoint
        newest = connection.execute(select(table.c.size, table.c.signed).order_by(table.c.size.desc()).limit(1)).first()
        if newest is not None and (newest[0] == held.edge.size or newest[1] // KEEP_SECONDS == now // KEEP_SECONDS):
            connection.execute(delete(table).where(table.c.size == newest[0]))
        connection.execute(table.insert().values(size=held.edge.size, root=held.root, note=note, signed=now))
        held.signed = now
        return note

    def _now(self, held: _Held) -> float:
        held.last = max(held.last, self._clock())
        return held.last

    # --- what must hold before anything is signed ---------------------------------------------------------------------
    def _load(self, connection: Connection, epoch: int) -> _Held:
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
        return _Held(
            epoch,
            edge,
            root_of_edge(edge),
            signed or 0.0,
            max([signed or 0.0, *times]),
            offsets,
            epochs.base(connection),
        )

    def _check_inside(self, connection: Connection, held: _Held) -> None:
        table = tables.checkpoint.c
        newest = connection.execute(select(table.size, table.root).order_by(table.size.desc()).limit(1)).first()
        size = _size(connection)
        signed_size, signed_root = (int(newest[0]), bytes(newest[1])) if newest is not None else (0, held.root)
        if not (size == held.edge.size == signed_size):
            raise AUDIT_INCONSISTENT(
                reason=f"the log holds {size} entries, its tiles {held.edge.size}, its checkpoint {signed_size}",
            )
        if signed_root != held.root:
            raise AUDIT_INCONSISTENT(reason=f"the tiles of {size} entries do not give the root that was signed")

    def _check_outside(self, connection: Connection, held: _Held) -> bool:
        """Whether the log is new, and nothing was ever signed."""
        note = self._file.read()
        if note is None:
            if held.edge.size:
                raise AUDIT_INCONSISTENT(
                    reason=f"the log holds {held.edge.size} entries, and {self._file.path} is missing",
                )
            return True
        if note == held.outside:
            return False
        size, root = self._key.verify(note)
        if size > held.edge.size:
            raise AUDIT_INCONSISTENT(reason=f"{size} entries were signed, and the database holds {held.edge.size}")
        try:
            ours = held.root if size == held.edge.size else root_at(connection, size)
        except BrokenTile as error:
            raise AUDIT_INCONSISTENT(reason=str(error)) from error
        if ours != root:
            raise AUDIT_INCONSISTENT(reason=f"the first {size} entries are not those that were signed")
        held.outside = note
        return False

    def _behind(self, connection: Connection, held: _Held) -> str | None:
        """The newest checkpoint of the database, if the file has an earlier one."""
        if held.outside is None or self._key.verify(held.outside)[0] >= held.edge.size:
            return None
        table = tables.checkpoint.c
        return str(connection.execute(select(table.note).where(table.size == held.edge.size)).scalar_one())


def _size(connection: Connection) -> int:
    top = connection.execute(select(func.max(tables.log_entry.c.idx))).scalar()
    return 0 if top is None else int(top) + 1
