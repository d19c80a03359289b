"""Origins of the log: the current log, and logs that ended because a restore lacked signed entries.

Theory of operation:
1. A log that lacks signed entries is never signed again. Its entries, tiles and checkpoints move unchanged to the
   `past_…` tables, under their origin.
2. A new log begins, with its own name and key. Its entry 0 is a note `new-log` with the old origin and key, the reason,
   and the size that is still here. It also holds the newest known old checkpoint (the whole signed note). So the holder
   of an old checkpoint sees the break and what was admitted.
3. The first checkpoint of the new log, of size 1, has the old key's signature too, if the old key is available. So
   trust in the old key leads to the new one. The old private key signs nothing after that.
4. A connection `within` an ended origin shows that log in place of the current one to all readers: verification, tiles,
   proofs, export.

Invariant: an entry that was ever sequenced is in exactly one log, under the index with which it was signed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, Engine, Text, func, literal, select

from gateway.audit.errors import AUDIT_NO_ORIGIN
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.tiles import root_of_edge, tile_reader
from gateway.journal.schema import tables
from security.grants.windows import civil
from security.transparency.checkpoint import Checkpoint
from security.transparency.entry import FrozenEntry
from security.transparency.merkle import inclusion_proof
from security.transparency.tiles import Builder, hashes_at

NEW_LOG: Final = "new-log"
BEGAN: Final = "log.began "
_MOVED: Final = (("log_entry", "past_entry"), ("log_tile", "past_tile"), ("checkpoint", "past_checkpoint"))
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "log_entry": ("idx", "transfer", "phase", "entry", "leaf", "sequenced"),
    "log_tile": ("level", "number", "hashes"),
    "checkpoint": ("size", "root", "note", "signed"),
}


@dataclass(frozen=True, slots=True)
class Ended:
    """A log that ended. `note` is the checkpoint of its `size` entries; None if none was ever signed."""

    origin: str
    number: int
    vkey: str
    size: int
    note: str | None
    ended: float


def ended(connection: Connection) -> tuple[Ended, ...]:
    """The logs that ended, oldest first."""
    table = tables.log_origin.c
    query = select(table.origin, table.number, table.vkey, table.size, table.note, table.ended).order_by(table.number)
    return tuple(Ended(**row) for row in connection.execute(query).mappings())


def ended_as(connection: Connection, origin: str | None) -> Ended | None:
    """The ended log of that origin."""
    return next((each for each in ended(connection) if each.origin == origin), None)


def next_name(first: str, taken: Iterable[str]) -> str:
    """`first`/2, or the next number after those in `taken`."""
    numbers = [1]
    for each in taken:
        head, _, number = each.rpartition("/")
        if head == first and number.isascii() and number.isdecimal():
            numbers.append(int(number))
    return f"{first}/{max(numbers) + 1}"


def end(connection: Connection, origin: str, vkey: str, now: float) -> Ended:
    """Moves the current log to those that ended. No keeper may be sequencing. `now` is in Unix seconds."""
    _keep_cosignatures(connection)
    count = len(ended(connection))
    newest = connection.execute(
        select(tables.checkpoint.c.size, tables.checkpoint.c.note).order_by(tables.checkpoint.c.size.desc()).limit(1)
    ).first()
    size, note = (int(newest[0]), str(newest[1])) if newest is not None else (0, None)
    log = Ended(origin=origin, number=count + 1, vkey=vkey, size=size, note=note, ended=now)
    connection.execute(tables.log_origin.insert().values(asdict(log)))
    for present, past in _MOVED:
        source, columns = tables.metadata.tables[present], _COLUMNS[present]
        moved = select(literal(origin, Text), *(source.c[name] for name in columns))
        connection.execute(tables.metadata.tables[past].insert().from_select(["origin", *columns], moved))
        connection.execute(source.delete())

    return log


def _keep_cosignatures(connection: Connection) -> None:
    """Moves cosigned checkpoints to the log that ends, in place of the same checkpoints without cosignatures.

    Time-stamps stay in their table, as each has its note with the origin.
    """
    table, point = tables.cosigned, tables.checkpoint
    for size, note, at in connection.execute(select(table.c.size, table.c.note, table.c.at)).all():
        changed = connection.execute(point.update().where(point.c.size == size).values(note=note))
        if changed.rowcount == 0:  # the log keeps only the last checkpoint of a minute
            root = Checkpoint.from_text(note.partition("\n\n")[0] + "\n").root
            connection.execute(point.insert().values(size=size, root=root, note=note, signed=at))
    connection.execute(table.delete())
    connection.execute(tables.witness_status.delete())


def begin(connection: Connection, key: LogKey, first: FrozenEntry, now: float, old: LogKey | None = None) -> str:
    """Writes entry 0 of a new log, its tile and its first checkpoint, which `old` signs too; returns the note."""
    builder = Builder()
    builder.append(first.leaf)
    connection.execute(
        tables.log_entry.insert().values(
            idx=0, transfer=first.transfer, phase=first.phase, entry=first.entry, leaf=first.leaf, sequenced=now
        )
    )
    for tile in builder.take():
        connection.execute(tables.log_tile.insert().values(level=tile.level, number=tile.number, hashes=tile.hashes))
    root = root_of_edge(builder)
    note = key.sign(1, root) if old is None else key.sign_with(old, 1, root)
    connection.execute(tables.checkpoint.insert().values(size=1, root=root, note=note, signed=now))
    # Kept apart, as the log keeps only the last checkpoint of a minute.
    connection.execute(tables.instance.insert().values(key=f"{BEGAN}{key.origin}", value=note))
    return note


@contextmanager
def within(engine: Engine, origin: str | None) -> Iterator[Connection]:
    """A connection for reading the current log (None), or an ended log in place of the current one.

    Raises `audit.no-origin` for an unknown origin.
    """
    with engine.connect() as connection:
        if origin is None:
            yield connection
            return
        if ended_as(connection, origin) is None:
            raise AUDIT_NO_ORIGIN(origin=origin[:200])
        doubled = "%" if connection.dialect.name == "sqlite" else "%%"
        # A temporary view hides the table of its name in both databases. Readers end their transactions page by page.
        quoted = "'" + origin.replace("'", "''").replace("%", doubled) + "'"
        hidden = [
            (name, f"SELECT {', '.join(_COLUMNS[name])} FROM {past} WHERE origin = {quoted}") for name, past in _MOVED
        ]
        hidden.append(
            ("log_pending", f"SELECT {', '.join(('0 AS id', *_COLUMNS['log_entry'][1:5]))} FROM past_entry WHERE 1 = 0")
        )
        schema = "temp" if connection.dialect.name == "sqlite" else "pg_temp"
        connection.rollback()
        try:
            _allow_views(connection)
            for name, query in hidden:
                connection.exec_driver_sql(f"DROP VIEW IF EXISTS {schema}.{name}")
                connection.exec_driver_sql(f"CREATE TEMPORARY VIEW {name} AS {query}")
            connection.commit()
            yield connection
        finally:
            connection.rollback()
            _allow_views(connection)
            for name, _query in hidden:
                connection.exec_driver_sql(f"DROP VIEW IF EXISTS {schema}.{name}")
            connection.commit()


def _allow_views(connection: Connection) -> None:
    """Temporary views write nothing, but PostgreSQL counts them as changes."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION READ WRITE")


@dataclass(frozen=True, slots=True)
class Before:
    """What entry 0 of a log says of the preceding one; this is signed, unlike the rows of the preceding log."""

    origin: str
    vkey: str
    held: int
    root: bytes
    note: str | None  # its newest checkpoint, unless that signs more entries than are still here

    @property
    def point(self) -> Checkpoint:
        return Checkpoint(self.origin, self.held, self.root)


def before(connection: Connection) -> tuple[Before, ...]:
    """The preceding log according to entry 0 of the current log and of each ended one; `verify` checks that entry."""
    present, past = tables.log_entry.c, tables.past_entry.c
    entries = [connection.execute(select(present.entry).where(present.idx == 0)).scalar()]
    entries += connection.execute(select(past.entry).where(past.idx == 0)).scalars()
    return tuple(each for entry in entries if entry is not None and (each := _before(bytes(entry))) is not None)


def _before(entry: bytes) -> Before | None:
    try:
        value = json.loads(entry)
        if value.get("what") != NEW_LOG:
            return None
        facts = value["facts"]
        held, note = int(facts["held"]), str(facts["checkpoint"])
        return Before(
            origin=str(facts["origin"]),
            vkey=str(facts["vkey"]),
            held=held,
            root=base64.b64decode(facts["root"]),
            note=note if int(facts["signed"]) <= held else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def lost_since(connection: Connection) -> Iterator[str]:
    """Reports ended logs with missing entries or a changed row. It only counts; `verify` checks under their origin."""
    known = {each.origin: each for each in ended(connection)}
    past = tables.past_entry.c
    for logged in before(connection):
        count = connection.execute(
            select(func.count()).select_from(tables.past_entry).where(past.origin == logged.origin)
        ).scalar_one()
        if count != logged.held:
            yield (
                f"the log {logged.origin}, which ended: entry 0 of the next one says that {logged.held}"
                f" of its entries are here; there are {count}"
            )
        row = known.get(logged.origin)
        if row is None or (row.vkey, row.size) != (logged.vkey, logged.held):
            yield (
                f"the log {logged.origin}, which ended:"
                " its row is missing, or says another key or size than entry 0 of the next one"
            )


def unseen(connection: Connection, since: float | None = None, until: float | None = None) -> tuple[str, ...]:
    """Texts for an answer of the current log: the ended logs with entries from `since` to before `until`."""
    table, notes = tables.past_entry.c, list[str]()
    for each in ended(connection):
        own = select(table.sequenced).where(table.origin == each.origin)
        first, last = (
            connection.execute(own.order_by(order).limit(1)).scalar() for order in (table.idx, table.idx.desc())
        )
        if (
            first is None
            or last is None
            or (until is not None and first >= until)
            or (since is not None and last < since)
        ):
            continue
        span = f"{civil(first)} – {civil(last)}"
        notes.append(
            f"not looked at: the log {each.origin}, which ended by a restore ({each.size} entries, {span});"
            f" `lgsp audit export DIR --origin {each.origin}` gives them,"
            " `lgsp audit show TRANSFER` those of a transfer"
            f" / chưa xem nhật ký {each.origin} đã kết thúc khi khôi phục ({each.size} mục, {span})"
        )
    return tuple(notes)


def elsewhere(connection: Connection, transfer: str) -> Iterator[str]:
    """Texts that name the ended logs with entries of this transfer."""
    past = tables.past_entry.c
    query = (
        select(past.origin, func.count()).where(past.transfer == transfer).group_by(past.origin).order_by(past.origin)
    )
    for origin, count in connection.execute(query):
        yield (
            f"{count} entries of transfer {transfer} stand in the log {origin}, which ended by a restore:"
            f" `lgsp audit show {transfer}` / {count} mục của giao dịch này nằm trong nhật ký {origin} đã kết thúc"
        )


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a log that follows another one began: entry 0, its inclusion proof, and the checkpoint of size 1."""

    entry: bytes
    hashes: tuple[bytes, ...]
    began: str


def beginning(connection: Connection, origin: str, top: int) -> Beginning | None:
    """None for a log that follows no other. `connection` shows that log; `top` is the size of its newest checkpoint."""
    table = tables.log_entry.c
    row = connection.execute(select(table.phase, table.entry).where(table.idx == 0)).first()
    began = connection.execute(
        select(tables.instance.c.value).where(tables.instance.c.key == f"{BEGAN}{origin}")
    ).scalar()
    if row is None or row[0] != NEW_LOG or began is None:
        return None
    return Beginning(bytes(row[1]), tuple(inclusion_proof(0, top, hashes_at(top, tile_reader(connection)))), str(began))
