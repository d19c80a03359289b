"""Checking the whole log, with key, origin and outside checkpoint taken from outside the data that are checked.

Everything is derived again from the raw entries, in one pass of constant memory: each entry's leaf, the order of the indexes, every tile,
the root, the signed checkpoints in the database, and the checkpoint kept outside it.
Invariant: what is reported as ok was computed here; nothing that the database says about itself is believed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.audit.tiles import root_of_edge
from gateway.journal import tables
from security import checkpoint as notes
from security.checkpoint import Checkpoint, NoteError, NoteKey
from security.merkle import HASH, leaf_hash
from security.tiles import WIDTH, Builder, tile_path

_BATCH: Final = 1024
Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, how many, and what is wrong: up to twenty findings, in the order found. `root` is in base64, as in checkpoints."""

    ok: bool
    size: int
    root: str
    checked: Mapping[str, int]
    wrong: tuple[str, ...] = ()

    @property
    def first_wrong(self) -> str | None:
        return self.wrong[0] if self.wrong else None


@dataclass(slots=True)
class _Findings:
    most: int = 20
    found: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        if len(self.found) < self.most:
            self.found.append(text)


def verify_log(
    connection: Connection,
    vkey: str | NoteKey,
    *,
    origin: str | None = None,
    newest: str | None = None,
    kept: str | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Check everything against the trusted key. `newest` is the checkpoint beside the database, `kept` one from farther away (an agency's
    copy, a print-out); the log must continue both. `on_progress` is called with the number of entries done.
    """
    key = NoteKey.from_text(vkey) if isinstance(vkey, str) else vkey
    origin = origin or key.name
    wrong = _Findings()
    outside = [
        *_outside("the checkpoint beside the database", newest, key, origin, wrong),
        *_outside("the kept checkpoint", kept, key, origin, wrong),
    ]
    signed = list(_signed(connection, key, origin, wrong))
    marks: dict[int, list[tuple[str, bytes]]] = {}
    for name, point in outside + signed:
        marks.setdefault(point.size, []).append((name, point.root))

    builder = Builder()
    stored = _Tiles(connection)
    _check_root(builder, marks, wrong)
    entries = 0
    for idx, transfer, phase, entry, leaf in _entries(connection):
        name = f"entry {idx} (transfer {transfer}, {phase})"
        if idx != builder.size:
            if idx < builder.size:
                wrong.add(f"{name}: its index is not in order")
            else:
                gap = f"entry {builder.size}" if idx == builder.size + 1 else f"entries {builder.size} to {idx - 1}"
                wrong.add(f"{gap}: missing; the next one is {name}")
            break  # nothing behind a gap can be placed in the tree
        computed = leaf_hash(entry)
        in_tile = stored.leaf(idx)
        _judge_entry(name, computed, leaf, in_tile, wrong)
        builder.append(computed)
        entries += 1
        if builder.size in marks:
            _check_root(builder, marks, wrong)
        if entries % _BATCH == 0:
            stored.compare(builder, wrong)
            if on_progress is not None:
                on_progress(entries)
    stored.compare(builder, wrong)
    if on_progress is not None:
        on_progress(entries)
    top = max(marks, default=0)
    if top > builder.size:
        for name, _root in marks[top]:
            wrong.add(f"{name} signs {top} entries; the database holds {builder.size} that follow one another")
    if not signed:
        if builder.size:
            wrong.add(f"the database holds {builder.size} entries and no signed checkpoint")
    elif builder.size > signed[-1][1].size:
        wrong.add(f"entry {signed[-1][1].size} and those behind it: no checkpoint in the database signs them")
    extra = stored.beyond(builder.size)
    if extra is not None:
        wrong.add(f"{extra}: beyond the {builder.size} entries of the log")
    checked = {"entries": entries, "tiles": stored.compared, "checkpoints": len(signed), "checkpoints from outside": len(outside)}
    root = base64.b64encode(root_of_edge(builder)).decode("ascii")
    return Report(not wrong.found, builder.size, root, checked, tuple(wrong.found))


def _judge_entry(name: str, computed: bytes, leaf: bytes, in_tile: bytes | None, wrong: _Findings) -> None:
    """Three places hold what an entry is: its bytes, its leaf, the tile. The odd one out is what was changed."""
    if computed == leaf == in_tile:
        return
    if computed != leaf and leaf == in_tile:
        wrong.add(f"{name}: its bytes are not those that were logged")
    elif computed == in_tile:
        wrong.add(f"{name}: its stored leaf hash was changed; its bytes and the tile agree")
    elif computed == leaf:
        wrong.add(f"{name}: " + ("its tile is missing" if in_tile is None else "the tile holds another hash than its bytes give"))
    else:
        wrong.add(f"{name}: its bytes, its leaf hash and the tile all disagree")


def _check_root(builder: Builder, marks: dict[int, list[tuple[str, bytes]]], wrong: _Findings) -> None:
    for name, root in marks.get(builder.size, ()):
        if root_of_edge(builder) != root:
            wrong.add(f"{name}: its root is not that of the first {builder.size} entries")


def _outside(name: str, note: str | None, key: NoteKey, origin: str, wrong: _Findings) -> Iterator[tuple[str, Checkpoint]]:
    if note is not None:
        try:
            yield name, notes.verify(note, key, origin=origin)
        except NoteError as error:
            wrong.add(f"{name}: {error}")


def _signed(connection: Connection, key: NoteKey, origin: str, wrong: _Findings) -> Iterator[tuple[str, Checkpoint]]:
    table = tables.checkpoint.c
    for size, root, note in connection.execute(select(table.size, table.root, table.note).order_by(table.size)):
        name = f"checkpoint {size} of the database"
        try:
            point = notes.verify(note, key, origin=origin)
        except NoteError as error:
            wrong.add(f"{name}: {error}")
            continue
        if (point.size, point.root) != (int(size), bytes(root)):
            wrong.add(f"{name}: the row and the signed note disagree")
        yield name, point


def _entries(connection: Connection) -> Iterator[tuple[int, str, str, bytes, bytes]]:
    """In order of index, a batch at a time, so that a log of any length fits."""
    table, after = tables.log_entry.c, -(1 << 62)
    while True:
        rows: list[Any] = list(
            connection.execute(
                select(table.idx, table.transfer, table.phase, table.entry, table.leaf)
                .where(table.idx > after)
                .order_by(table.idx)
                .limit(_BATCH)
            )
        )
        if not rows:
            return
        for idx, transfer, phase, entry, leaf in rows:
            yield int(idx), transfer, phase, bytes(entry), bytes(leaf)
        after = int(rows[-1][0])


class _Tiles:
    """The stored tiles: leaves one by one, and each tile of every level against the one that was computed."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection
        self._number = -1
        self._hashes = b""
        self.compared = 0

    def leaf(self, idx: int) -> bytes | None:
        number, place = divmod(idx, WIDTH)
        if number != self._number:
            self._number, self._hashes = number, self._read(0, number) or b""
        return self._hashes[place * HASH : (place + 1) * HASH] or None

    def compare(self, builder: Builder, wrong: _Findings) -> None:
        """All tiles that grew since the last call. A tile that is not full yet is compared as far as it is known."""
        for tile in builder.take():
            stored = self._read(tile.level, tile.number) or b""
            if stored[: len(tile.hashes)] != tile.hashes:
                if tile.level:  # level 0 was judged entry by entry
                    each = WIDTH**tile.level
                    first = tile.number * WIDTH * each
                    wrong.add(f"{tile.path} (entries {first} to {first + tile.width * each - 1}): its hashes are not what they give")
            elif tile.width == WIDTH or len(stored) == len(tile.hashes):
                self.compared += 1

    def beyond(self, size: int) -> str | None:
        """A stored tile, or part of one, that a log of `size` entries does not have."""
        table = tables.log_tile.c
        level, left = 0, size
        while left:
            level, left = level + 1, left // WIDTH
        row = self._connection.execute(select(table.level, table.number).where(table.level >= level).limit(1)).first()
        for at in range(level):
            if row is not None:
                break
            full, part = divmod(size >> 8 * at, WIDTH)
            row = self._connection.execute(
                select(table.level, table.number).where(table.level == at, table.number >= full + (part > 0)).limit(1)
            ).first()
            if row is None and part and len(self._read(at, full) or b"") > part * HASH:
                row = self._connection.execute(select(table.level, table.number).where(table.level == at, table.number == full)).first()
        return None if row is None else tile_path(int(row[0]), int(row[1]))

    def _read(self, level: int, number: int) -> bytes | None:
        table = tables.log_tile.c
        found = self._connection.execute(select(table.hashes).where(table.level == level, table.number == number)).scalar()
        return None if found is None else bytes(found)
