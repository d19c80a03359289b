"""Where a log that is to be checked comes from: one small protocol, and the database as its first source.

`gateway.audit.verify.folder` reads an export, `gateway.audit.verify.remote` a gateway over HTTP. A source only hands over what it holds; what is true of it, `verify`
finds out. A table that later says something of the log adds a `Beside` here: notes that must hold, or words for what is wrong.
Invariant: a source is read in pages, and begins no transaction that lives longer than one; what grew since `open` is left for the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, func, inspect, select

from gateway.journal.schema import tables
from security.transparency.merkle import HASH
from security.transparency.tiles import WIDTH, tile_path

PAGE: Final = 2048


class NoSource(ValueError):
    """What was named holds no log that could be checked; the text says why."""


class NotYet(NoSource):
    """A log that has signed nothing so far."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed note that the source holds. `size` and `root` are what stands beside it unsigned, where something does. `shown`: a copy that somebody
    outside was shown, of whichever log that was then; it is none of the log's own list, and the log must go on from it all the same."""

    name: str
    note: str
    size: int | None = None
    root: bytes | None = None
    shown: bool = False


class Record(NamedTuple):
    """One entry. What follows `entry` is what a database holds beside the bytes; an export or a gateway over HTTP has only these."""

    idx: int
    entry: bytes
    transfer: str | None = None
    phase: str | None = None
    leaf: bytes | None = None
    sequenced: float | None = None


class Proved(NamedTuple):
    """An entry that lies beside its own proof (C2SP tlog-proof, in both forms)."""

    name: str
    entry: bytes
    proofs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """What the source says of itself when checking begins. `size` counts what there is to check, signed or not; if it is only what the note
    `claims`, nothing is read before that note is proved. Entries stand from `first` on up to `stop` (an export may hold only some); `readable` is
    False where entries are not for whoever asks."""

    size: int
    signed: tuple[Signed, ...] = ()
    first: int = 0
    stop: int | None = None
    readable: bool = True
    claims: bool = False
    proofs: tuple[Proved, ...] = ()
    wrong: tuple[str, ...] = ()


class Source(Protocol):
    """`what` is its name in sentences, such as *the database*."""

    @property
    def what(self) -> str: ...
    def open(self) -> Opening: ...
    def records(self, start: int, stop: int) -> Iterator[Sequence[Record]]:
        """Those of this range that there are, in order of index, a page at a time."""
        ...

    def tile(self, level: int, number: int, width: int) -> bytes:
        """As many of the hashes as are kept; empty where there are none."""
        ...

    def rest(self, size: int) -> Iterator[str]:
        """What it holds that a log of `size` entries does not, and what contradicts itself: asked when all else was read."""
        ...


def paged(connection: Connection) -> Callable[[], None]:
    """Call it after each page: it ends the transaction that reading began, so that no long one holds the database up. It ends none that the
    connection was handed over in: that one's view of the tables is what whoever began it wants to be looked at."""
    return (lambda: None) if connection.in_transaction() else connection.rollback


Beside = Callable[[Connection], Iterable[Signed | str]]


def stored_checkpoints(connection: Connection) -> Iterator[Signed]:
    """The rows of `checkpoint`: each is a note of ours, and says what the row says."""
    table = tables.checkpoint.c
    for size, root, note in connection.execute(select(table.size, table.root, table.note).order_by(table.size)):
        yield Signed(f"checkpoint {size} of the database", note, int(size), bytes(root))


def shown_checkpoints(connection: Connection) -> Iterator[Signed]:
    """What witnesses cosigned and what was time-stamped: whoever took entries back must have taken these back too."""
    for what, table in (("cosigned", tables.cosigned), ("time-stamped", tables.stamp)):
        if not inspect(connection).has_table(table.name):  # a backup that an older release made
            continue
        for size, note in connection.execute(select(table.c.size, table.c.note).order_by(table.c.size)):
            yield Signed(f"the {what} checkpoint of {size} entries", note, int(size), shown=True)


BESIDE: Final[tuple[Beside, ...]] = (stored_checkpoints, shown_checkpoints)


class DatabaseSource:
    """The tables of an instance, also while its keeper goes on."""

    what: Final = "the database"

    def __init__(self, connection: Connection, beside: Sequence[Beside] = BESIDE) -> None:
        self._connection: Final = connection
        self._beside: Final = beside
        self._own: Final = not connection.in_transaction()
        self._turn: Final = paged(connection)
        self._size = 0
        self._extra: list[tuple[int, int]] = []

    def open(self) -> Opening:
        connection, signed, wrong = self._connection, list[Signed](), list[str]()
        if self._own and connection.dialect.name == "postgresql":  # one look at all tables; SQLite gives that anyway
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        top = connection.execute(select(func.max(tables.log_entry.c.idx))).scalar()
        self._size = 0 if top is None else int(top) + 1
        for each in self._beside:
            for found in each(connection):
                if isinstance(found, Signed):
                    signed.append(found)
                else:
                    wrong.append(found)
        self._extra = self._too_many(self._size)
        self._turn()
        return Opening(self._size, tuple(signed), wrong=tuple(wrong))

    def records(self, start: int, stop: int) -> Iterator[Sequence[Record]]:
        table = tables.log_entry.c
        after = start - 1 if start else -(1 << 62)  # an index below zero is found too
        wanted = (
            select(table.idx, table.entry, table.transfer, table.phase, table.leaf, table.sequenced)
            .order_by(table.idx)
            .limit(PAGE)
        )
        while True:
            rows = self._connection.execute(wanted.where(table.idx > after, table.idx < stop)).all()
            self._turn()
            if not rows:
                return
            page = [
                Record(int(idx), bytes(entry), transfer, phase, bytes(leaf), at)
                for idx, entry, transfer, phase, leaf, at in rows
            ]
            yield page
            after = page[-1].idx

    def tile(self, level: int, number: int, width: int) -> bytes:
        table = tables.log_tile.c
        found = self._connection.execute(
            select(table.hashes).where(table.level == level, table.number == number)
        ).scalar()
        return bytes(found or b"")[: width * HASH]

    def rest(self, size: int) -> Iterator[str]:
        """Tiles, as they were when checking began: those of a log that goes on grow."""
        extra = self._extra if size >= self._size else self._too_many(size)
        self._turn()
        for level, number in extra[:1]:
            yield f"{tile_path(level, number)}: beyond the {size} entries of the log"

    def _too_many(self, size: int) -> list[tuple[int, int]]:
        table, level, left = tables.log_tile.c, 0, size
        while left:
            level, left = level + 1, left // WIDTH
        place = select(table.level, table.number).limit(1)
        rows: list[Any] = list(self._connection.execute(place.where(table.level >= level)))
        for at in range(level):
            full, part = divmod(size >> 8 * at, WIDTH)
            rows += self._connection.execute(place.where(table.level == at, table.number >= full + (part > 0)))
            if part and len(self.tile(at, full, WIDTH)) > part * HASH:
                rows.append((at, full))
        return [(int(row[0]), int(row[1])) for row in rows]
