"""Origins of the log: the one that goes on, and those that ended because a restore lacked what had been signed.

Theory of operation
1. A log that lacks signed entries is never signed on. Its entries, tiles and checkpoints move to the `past_…` tables under their origin, as they are.
2. A new log begins, with a name and a key of its own. Its entry 0 is a note `new-log` that holds the old origin, the old key, the newest old checkpoint
   that is known (the whole signed note), the size that is still here, and why. So whoever holds an old checkpoint sees the break, and what was admitted.
3. The first checkpoint of the new log, of size 1, bears the old key's signature beside the new one's, where the old key is at hand: who trusts the
   old key is led to the new one. The old private key signs nothing after that.
4. A connection `within` an ended origin shows that log in the place of the present one to whatever reads a log: verification, tiles, proofs, export.
Invariant: an entry that was ever sequenced is in exactly one log, under the index that it was signed with.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
    """A log that goes on no more. `note` is the checkpoint of its `size` entries; None if not one was ever signed."""

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
    return tuple(
        Ended(row[0], int(row[1]), row[2], int(row[3]), row[4], float(row[5])) for row in connection.execute(query)
    )


def ended_as(connection: Connection, origin: str | None) -> Ended | None:
    """The log of that origin, if it ended."""
    return next((each for each in ended(connection) if each.origin == origin), None)


def next_name(first: str, taken: Iterable[str]) -> str:
    """`first`/2, or the next number after those that are taken."""
    numbers = [1]
    for each in taken:
        head, _, number = each.rpartition("/")
        if head == first and number.isascii() and number.isdecimal():
            numbers.append(int(number))
    return f"{first}/{max(numbers) + 1}"


def end(connection: Connection, origin: str, vkey: str, now: float) -> Ended:
    """Put the present log among those that ended. Nobody may be sequencing."""
    _keep_cosignatures(connection)
    count = len(ended(connection))
    newest = connection.execute(
        select(tables.checkpoint.c.size, tables.checkpoint.c.note).order_by(tables.checkpoint.c.size.desc()).limit(1)
    ).first()
    size, note = (int(newest[0]), str(newest[1])) if newest is not None else (0, None)
    made = Ended(origin, count + 1, vkey, size, note, now)
    connection.execute(
        tables.log_origin.insert().values(origin=origin, number=made.number, vkey=vkey, size=size, note=note, ended=now)
    )
    for present, past in _MOVED:
        source, columns = tables.metadata.tables[present], _COLUMNS[present]
        moved = select(literal(origin, Text), *(source.c[name] for name in columns))
        connection.execute(tables.metadata.tables[past].insert().from_select(["origin", *columns], moved))
        connection.execute(source.delete())
    return made


def _keep_cosignatures(connection: Connection) -> None:
    """What witnesses cosigned goes with the log that ended, in the place of the same checkpoint without their lines; a new log has no vouchers yet.
    Time-stamps stay as they are: each bears the note that it is of, with its origin."""
    table, point = tables.cosigned, tables.checkpoint
    for size, note, at in connection.execute(select(table.c.size, table.c.note, table.c.at)).all():
        changed = connection.execute(point.update().where(point.c.size == size).values(note=note))
        if changed.rowcount == 0:  # of checkpoints of one minute only the last one stays
            root = Checkpoint.from_text(note.partition("\n\n")[0] + "\n").root
            connection.execute(point.insert().values(size=size, root=root, note=note, signed=at))
    connection.execute(table.delete())
    connection.execute(tables.vouching.delete())


def begin(connection: Connection, key: LogKey, first: FrozenEntry, now: float, old: LogKey | None = None) -> str:
    """Entry 0 of a new log, its tile and its first checkpoint, which `old` signs too; the note."""
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
    connection.execute(
        tables.instance.insert().values(key=f"{BEGAN}{key.origin}", value=note)
    )  # of checkpoints of one minute the last one stays
    return note


@contextmanager
def within(engine: Engine, origin: str | None) -> Iterator[Connection]:
    """A connection to the present log (None), or to one that ended, seen in the place of the present one; for reading. `audit.no-origin` if there is none."""
    with engine.connect() as connection:
        if origin is None:
            yield connection
            return
        if ended_as(connection, origin) is None:
            raise AUDIT_NO_ORIGIN(origin=origin[:200])
        doubled = "%" if connection.dialect.name == "sqlite" else "%%"
        # A temporary view hides the table of its name in both databases. It is committed, since readers end their transactions page by page.
        quoted = "'" + origin.replace("'", "''").replace("%", doubled) + "'"
        hidden = [
            (name, f"SELECT {', '.join(_COLUMNS[name])} FROM {past} WHERE origin = {quoted}") for name, past in _MOVED
        ]
        hidden.append(
            ("log_pending", f"SELECT {', '.join(('0 AS id', *_COLUMNS['log_entry'][1:5]))} FROM past_entry WHERE 1 = 0")
        )
        schema = "temp" if connection.dialect.name == "sqlite" else "pg_temp"
        try:
            for name, query in hidden:
                connection.exec_driver_sql(f"CREATE TEMPORARY VIEW {name} AS {query}")
            connection.commit()
            yield connection
        finally:
            connection.rollback()
            for name, _query in hidden:
                connection.exec_driver_sql(f"DROP VIEW IF EXISTS {schema}.{name}")
            connection.commit()


@dataclass(frozen=True, slots=True)
class Before:
    """What entry 0 of a log says of the one that it goes on from: of that one the signed memory, outside its own rows."""

    origin: str
    vkey: str
    held: int
    root: bytes
    note: str | None  # its newest checkpoint, where that is of no more entries than are still here

    @property
    def point(self) -> Checkpoint:
        return Checkpoint(self.origin, self.held, self.root)


def before(connection: Connection) -> tuple[Before, ...]:
    """What the log that goes on, and each that ended, says of the one before it. Whether entry 0 is what was signed is for `verify` to find."""
    present, past = tables.log_entry.c, tables.past_entry.c
    found = [connection.execute(select(present.entry).where(present.idx == 0)).scalar()]
    found += connection.execute(select(past.entry).where(past.idx == 0)).scalars()
    return tuple(each for entry in found if entry is not None and (each := _before(bytes(entry))) is not None)


def _before(entry: bytes) -> Before | None:
    try:
        value = json.loads(entry)
        if value.get("what") != NEW_LOG:
            return None
        facts = value["facts"]
        held, note = int(facts["held"]), str(facts["checkpoint"])
        return Before(
            str(facts["origin"]),
            str(facts["vkey"]),
            held,
            base64.b64decode(facts["root"]),
            note if int(facts["signed"]) <= held else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def lost_since(connection: Connection) -> Iterator[str]:
    """Logs that ended and are not here as they were then: counted, not derived, which `verify` does under their own origin."""
    known = {each.origin: each for each in ended(connection)}
    past = tables.past_entry.c
    for told in before(connection):
        there = connection.execute(
            select(func.count()).select_from(tables.past_entry).where(past.origin == told.origin)
        ).scalar_one()
        if there != told.held:
            yield f"the log {told.origin}, which ended: entry 0 of the next one says that {told.held} of its entries are here; there are {there}"
        stands = known.get(told.origin)
        if stands is None or (stands.vkey, stands.size) != (told.vkey, told.held):
            yield f"the log {told.origin}, which ended: its row is missing, or says another key or size than entry 0 of the next one"


def unseen(connection: Connection, since: float | None = None, until: float | None = None) -> tuple[str, ...]:
    """For whoever asks the log that goes on of a span of time (`until` not included): the logs that ended and reach into it, in words for the answer."""
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
            f"not looked at: the log {each.origin}, which ended by a restore ({each.size} entries, {span}); "
            f"`lgsp audit export DIR --origin {each.origin}` gives them, `lgsp audit show TRANSFER` those of a transfer"
            f" / chưa xem nhật ký {each.origin} đã kết thúc khi khôi phục ({each.size} mục, {span})"
        )
    return tuple(notes)


def elsewhere(connection: Connection, transfer: str) -> Iterator[str]:
    """In words, the logs that ended and hold entries of this transfer."""
    past = tables.past_entry.c
    query = (
        select(past.origin, func.count()).where(past.transfer == transfer).group_by(past.origin).order_by(past.origin)
    )
    for origin, count in connection.execute(query):
        yield (
            f"{count} entries of transfer {transfer} stand in the log {origin}, which ended by a restore: `lgsp audit show {transfer}`"
            f" / {count} mục của giao dịch này nằm trong nhật ký {origin} đã kết thúc"
        )


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a log that follows another one began: entry 0, the way from it to the newest checkpoint, and the checkpoint of size 1."""

    entry: bytes
    hashes: tuple[bytes, ...]
    began: str


def beginning(connection: Connection, origin: str, top: int) -> Beginning | None:
    """None for a log that follows no other. `connection` is within it; `top` is the size of its newest checkpoint."""
    table = tables.log_entry.c
    row = connection.execute(select(table.phase, table.entry).where(table.idx == 0)).first()
    began = connection.execute(
        select(tables.instance.c.value).where(tables.instance.c.key == f"{BEGAN}{origin}")
    ).scalar()
    if row is None or row[0] != NEW_LOG or began is None:
        return None
    return Beginning(bytes(row[1]), tuple(inclusion_proof(0, top, hashes_at(top, tile_reader(connection)))), str(began))
