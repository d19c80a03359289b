"""Sources of a log to verify: their protocol, and the database as a source.

`gateway.audit.verify.folder` reads an export, `gateway.audit.verify.remote` a gateway over HTTP. A source only delivers
data; `verify` checks them. A further table with statements about the log adds a `Beside`.

Invariant: a source is read in pages, and holds no transaction longer than one page. Growth since `open` is ignored.
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
    """There is no log to verify here; the text says why."""


class NotYet(NoSource):
    """The log has not signed anything yet."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed note of the source. `size` and `root` are the unsigned columns beside it, if any.

    `shown`: a copy that was cosigned or stamped. It may be of any log, and the log must continue it.
    """

    name: str
    note: str
    size: int | None = None
    root: bytes | None = None
    shown: bool = False


class Record(NamedTuple):
    """One entry. The fields after `entry` are columns of the database; other sources have only the bytes."""

    idx: int
    entry: bytes
    transfer: str | None = None
    phase: str | None = None
    leaf: bytes | None = None
    sequenced: float | None = None


class Proved(NamedTuple):
    """An entry with its own proof beside it (C2SP tlog-proof, in both forms)."""

    name: str
    entry: bytes
    proofs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a source states about itself when verification begins.

    `size` counts all entries, signed or not. With `claims` it is only stated in the note, and nothing is read before
    that note is verified. Entries are available from `first` to before `stop` (None: all), unless `readable` is False.
    """

    size: int
    signed: tuple[Signed, ...] = ()
    first: int = 0
    stop: int | None = None
    readable: bool = True
    claims: bool = False
    proofs: tuple[Proved, ...] = ()
    wrong: tuple[str, ...] = ()


class Source(Protocol):
    """`what` is its name in texts, such as *the database*."""

    @property
    def what(self) -> str: ...
    def open(self) -> Opening: ...
    def records(self, start: int, stop: int) -> Iterator[Sequence[Record]]:
        """The entries of this range that exist, in order of index, a page at a time."""
        ...

    def tile(self, level: int, number: int, width: int) -> bytes:
        """Up to `width` hashes; empty if there are none."""
        ...

    def rest(self, size: int) -> Iterator[str]:
        """Findings about data beyond `size` entries, and about contradictions; called last."""
        ...


def paged(connection: Connection) -> Callable[[], None]:
    """A function to call after each page: it ends the transaction that reading began.

    It does nothing if the caller handed over a connection in a transaction, whose view of the tables it wants.
    """
    return (lambda: None) if connection.in_transaction() else connection.rollback


Beside = Callable[[Connection], Iterable[Signed | str]]


def stored_checkpoints(connection: Connection) -> Iterator[Signed]:
    """The rows of `checkpoint`, each with its note."""
    table = tables.checkpoint.c
    for size, root, note in connection.execute(select(table.size, table.root, table.note).order_by(table.size)):
        yield Signed(f"checkpoint {size} of the database", note, int(size), bytes(root))


def shown_checkpoints(connection: Connection) -> Iterator[Signed]:
    """The cosigned and time-stamped checkpoints: an attacker who removes entries must remove these too."""
    for what, table in (("cosigned", tables.cosigned), ("time-stamped", tables.stamp)):
        if not inspect(connection).has_table(table.name):  # a backup of an older release
            continue
        for size, note in connection.execute(select(table.c.size, table.c.note).order_by(table.c.size)):
            yield Signed(f"the {what} checkpoint of {size} entries", note, int(size), shown=True)


BESIDE: Final[tuple[Beside, ...]] = (stored_checkpoints, shown_checkpoints)


class DatabaseSource:
    """The tables of an instance, which may be in use."""

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
        if self._own and connection.dialect.name == "postgresql":  # SQLite always reads one snapshot
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        top = connection.execute(select(func.max(tables.log_entry.c.idx))).scalar()
        self._size = 0 if top is None else int(top) + 1
        for each in self._beside:
            for item in each(connection):
                if isinstance(item, Signed):
                    signed.append(item)
                else:
                    wrong.append(item)
        self._extra = self._tiles_beyond(self._size)
        self._turn()
        return Opening(self._size, tuple(signed), wrong=tuple(wrong))

    def records(self, start: int, stop: int) -> Iterator[Sequence[Record]]:
        table = tables.log_entry.c
        after = start - 1 if start else -(1 << 62)  # includes indexes below zero
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
                Record(
                    idx=int(idx),
                    entry=bytes(entry),
                    transfer=transfer,
                    phase=phase,
                    leaf=bytes(leaf),
                    sequenced=sequenced,
                )
                for idx, entry, transfer, phase, leaf, sequenced in rows
            ]
            yield page
            after = page[-1].idx

    def tile(self, level: int, number: int, width: int) -> bytes:
        table = tables.log_tile.c
        hashes = self._connection.execute(
            select(table.hashes).where(table.level == level, table.number == number)
        ).scalar()
        return bytes(hashes or b"")[: width * HASH]

    def rest(self, size: int) -> Iterator[str]:
        """Tiles beyond the log, as of `open`: those of a running log grow."""
        extra = self._extra if size >= self._size else self._tiles_beyond(size)
        self._turn()
        for level, number in extra[:1]:
            yield f"{tile_path(level, number)}: beyond the {size} entries of the log"

    def _tiles_beyond(self, size: int) -> list[tuple[int, int]]:
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
