"""Checking a log, with key, origin and outside checkpoints taken from outside the data that are checked.

One core for every source (`gateway.audit.verify.sources`). *Whole*: everything is derived again from the raw entries, in one pass of constant memory: each
leaf, the order of the indexes, every tile, the root, the signed checkpoints, those kept outside. *A range*: its leaves are derived and found
in tiles that lead to the signed root. *Without entries*: every tile is led to the signed root, and the report says that entries were not looked at.
Invariant: what is reported as ok was computed here; nothing that the data say about themselves is believed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from gateway.audit.verify.checks import CHECKS, OF_A_RANGE, Check, Minutes, read_entry
from gateway.audit.verify.sources import DatabaseSource, Opening, Record, Source
from security.transparency import checkpoint as notes
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey
from security.transparency.merkle import EMPTY_ROOT, HASH, ProofError, leaf_hash, verify_inclusion
from security.transparency.proved_tiles import ProvedTiles
from security.transparency.tiles import WIDTH, Builder, Tile, root_of_edge, tile_path, tiles_of

_BATCH: Final = 1024
Progress = Callable[[int], object]
Marks = dict[int, list[tuple[str, bytes]]]


NO_ENTRIES: Final = (
    "the entries themselves were not looked at: only hashes and checkpoints / chỉ xem mã băm và điểm kiểm tra"
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, how many, and what is wrong: up to twenty findings, in the order found. `root` is in base64, as in checkpoints. `notes`
    are true and not wrong: intents that are open, what was not looked at."""

    ok: bool
    size: int
    root: str
    checked: Mapping[str, int]
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

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
    """The whole log of a database. `newest` is the checkpoint beside it, `kept` one from farther away; the log must continue both."""
    named = (("the checkpoint beside the database", newest), ("the kept checkpoint", kept))
    outside = [(name, note) for name, note in named if note is not None]
    return verify(DatabaseSource(connection), vkey, origin=origin, outside=outside, on_progress=on_progress)


def verify(
    source: Source,
    vkey: str | NoteKey,
    *,
    origin: str | None = None,
    outside: Sequence[tuple[str, str | Checkpoint]] = (),
    first: int | None = None,
    last: int | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Check what the source holds against the trusted key. `outside` are checkpoints by name that the log must continue, signed
    notes, or what a signed entry of another log says. With `first` or `last` only the entries from the one to the other, both included. `on_progress` is called with the number of entries (or tiles) done.
    """
    key = NoteKey.from_text(vkey) if isinstance(vkey, str) else vkey
    work = _Work(source, key, origin or key.name, on_progress or (lambda done: None))
    opened = source.open()
    for text in opened.wrong:
        work.wrong.add(text)
    kept = [
        (name, point)
        for name, note in outside
        if (point := note if isinstance(note, Checkpoint) else work.opened(name, note)) is not None
    ]
    signed, shown = work.signed(opened)
    kept += shown
    part = opened.first > 0 or opened.stop not in (None, opened.size) or first is not None or last is not None
    work.proofs(opened)
    if opened.claims and not signed:
        work.wrong.add(f"{source.what} holds no checkpoint that the trusted key signed: nothing can be proved under it")
    elif opened.stop is not None and opened.stop <= opened.first:
        work.only_proofs(opened, signed, kept)
    elif opened.readable and not part:
        work.whole(opened, signed, kept)
    else:
        stop = opened.stop if opened.stop is not None else opened.size
        work.under(opened, signed, kept, opened.first if first is None else first, stop if last is None else last + 1)
    return work.report(len(signed), len(kept) - len(shown), len(shown))


class _Work:
    """One verification."""

    def __init__(self, source: Source, key: NoteKey, origin: str, progress: Progress) -> None:
        self.wrong: Final = _Findings()
        self._source: Final = source
        self._key: Final = key
        self._origin: Final = origin
        self._progress: Final = progress
        self._size = 0
        self._root = EMPTY_ROOT
        self._entries = 0
        self._tiles = 0
        self._proofs = 0
        self._notes: list[str] = []

    def report(self, signed: int, kept: int, shown: int) -> Report:
        checked = {
            "entries": self._entries,
            "tiles": self._tiles,
            "checkpoints": signed,
            "checkpoints from outside": kept,
        }
        if shown:
            checked["checkpoints that were cosigned or stamped"] = shown
        if self._proofs:
            checked["proofs"] = self._proofs
        root = base64.b64encode(self._root).decode("ascii")
        return Report(not self.wrong.found, self._size, root, checked, tuple(self.wrong.found), tuple(self._notes))

    def opened(self, name: str, note: str) -> Checkpoint | None:
        try:
            return notes.verify(note, self._key, origin=self._origin)
        except NoteError as error:
            self.wrong.add(f"{name}: {error}")
            return None

    def signed(self, opened: Opening) -> tuple[list[tuple[str, Checkpoint]], list[tuple[str, Checkpoint]]]:
        """The log's own checkpoints, and those that others were shown of it."""
        found: list[tuple[str, Checkpoint]] = []
        shown: list[tuple[str, Checkpoint]] = []
        for each in opened.signed:
            if each.shown and each.note.partition("\n")[0] != self._origin:
                continue  # of a log that ended: stamps stay in their table
            point = self.opened(each.name, each.note)
            if point is None:
                continue
            if each.size not in (None, point.size) or each.root not in (None, point.root):
                self.wrong.add(f"{each.name}: the row and the signed note disagree")
            (shown if each.shown else found).append((each.name, point))
        return found, shown

    # --- entries that lie beside their proofs -------------------------------------------------------------------------
    def proofs(self, opened: Opening) -> None:
        for each in opened.proofs:
            for text in each.proofs:
                try:
                    proof = notes.LogProof.from_text(text)
                except NoteError as error:
                    self.wrong.add(f"{each.name}: {error}")
                    continue
                point = self.opened(each.name, proof.note)
                if point is not None:
                    try:
                        verify_inclusion(leaf_hash(each.entry), proof.index, point.size, proof.hashes, point.root)
                    except ProofError as error:
                        self.wrong.add(f"{each.name}: {error}")
                self._proofs += 1

    def only_proofs(
        self, opened: Opening, signed: list[tuple[str, Checkpoint]], kept: list[tuple[str, Checkpoint]]
    ) -> None:
        """An export of single transfers: there is no tree to go through."""
        if signed:
            top = max((point for _name, point in signed), key=lambda point: point.size)
            self._size, self._root = top.size, top.root
        for name, point in kept:
            if (point.size, point.root) != (self._size, self._root):
                self.wrong.add(
                    f"{name}: {self._source.what} holds no tiles, so that it goes on from size {point.size} cannot be proved"
                )
        self._notes.append(
            f"only the {len(opened.proofs)} entries with proofs of their own were looked at / chỉ xem {len(opened.proofs)} mục có bằng chứng riêng"
        )

    # --- everything, from the raw entries -----------------------------------------------------------------------------
    def whole(self, opened: Opening, signed: list[tuple[str, Checkpoint]], kept: list[tuple[str, Checkpoint]]) -> None:
        wrong, builder, stored = self.wrong, Builder(), _Tiles(self._source)
        marks: Marks = {}
        for name, point in kept + signed:
            marks.setdefault(point.size, []).append((name, point.root))
        minutes = Minutes({point.size for _name, point in signed})
        checks = _Checks(CHECKS, wrong)
        _check_root(builder, marks, wrong)
        for record in _each(self._source.records(0, opened.size)):
            idx = record.idx
            if idx != builder.size:
                if idx < builder.size:
                    wrong.add(f"{checks.name(record)}: its index is not in order")
                else:
                    gap = f"entry {builder.size}" if idx == builder.size + 1 else f"entries {builder.size} to {idx - 1}"
                    wrong.add(f"{gap}: missing; the next one is {checks.name(record)}")
                break  # nothing behind a gap can be placed in the tree
            computed = leaf_hash(record.entry)
            in_tile = stored.leaf(idx)
            if computed == in_tile and (computed == record.leaf or record.leaf is None):
                checks.entry(record)
            else:
                wrong.add(f"{checks.name(record)}: {_judge(computed, record.leaf, in_tile)}")
            minutes.entry(record)
            builder.append(computed)
            if builder.size in marks:
                _check_root(builder, marks, wrong)
            if builder.size % _BATCH == 0:
                stored.compare(builder, wrong)
                self._progress(builder.size)
        stored.compare(builder, wrong)
        self._progress(builder.size)
        self._end(signed, marks, builder.size)
        for text in minutes.missing:
            wrong.add(text)
        for text in self._source.rest(builder.size):
            wrong.add(text)
        self._notes += checks.end()
        self._size, self._root = builder.size, root_of_edge(builder)
        self._entries, self._tiles = builder.size, stored.compared

    def _end(self, signed: list[tuple[str, Checkpoint]], marks: Marks, size: int) -> None:
        top, wrong, what = max(marks, default=0), self.wrong, self._source.what
        if top > size:
            for name, _root in marks[top]:
                wrong.add(f"{name} signs {top} entries; {what} holds {size} that follow one another")
        if not signed:
            if size:
                wrong.add(f"{what} holds {size} entries and no signed checkpoint")
            return
        newest = max(point.size for _name, point in signed)
        if size > newest:
            wrong.add(f"entry {newest} and those behind it: no checkpoint in {what} signs them")

    # --- under the signed root, by its tiles --------------------------------------------------------------------------
    def under(
        self,
        opened: Opening,
        signed: list[tuple[str, Checkpoint]],
        kept: list[tuple[str, Checkpoint]],
        start: int,
        stop: int,
    ) -> None:
        """Entries from `start` to before `stop`; all tiles instead, where the entries are not for us."""
        if not signed:
            self.wrong.add(
                f"{self._source.what} holds no checkpoint that the trusted key signed: a range cannot be proved under it"
            )
            return
        top = max((point for _name, point in signed), key=lambda point: point.size)
        self._size, self._root = top.size, top.root
        if not 0 <= start < stop <= top.size and opened.readable:
            self.wrong.add(f"entries {start} to {stop - 1}: the signed log has {top.size}, from 0 to {top.size - 1}")
            return
        try:
            proved = ProvedTiles(top.size, top.root, self._source.tile)
        except ProofError as error:
            self.wrong.add(f"{self._source.what}: {error}")
            return
        try:
            self._prefixes(proved, [*kept, *signed])
            if opened.readable:
                self._range(proved, start, stop)
            else:
                self._all_tiles(proved)
        except ProofError as error:
            self.wrong.add(str(error))
        for text in self._source.rest(top.size):
            self.wrong.add(text)
        self._tiles = proved.read_tiles

    def _prefixes(self, proved: ProvedTiles, points: Sequence[tuple[str, Checkpoint]]) -> None:
        for name, point in points:
            if point.size > proved.size:
                self.wrong.add(f"{name} signs {point.size} entries; {self._source.what} holds {proved.size}")
            elif root_of_edge(Builder.load(point.size, proved.tile)) != point.root:
                self.wrong.add(f"{name}: its root is not that of the first {point.size} entries")

    def _range(self, proved: ProvedTiles, start: int, stop: int) -> None:
        checks, expected = _Checks(OF_A_RANGE, self.wrong), start
        number, hashes = -1, b""
        for record in _each(self._source.records(start, stop)):
            if record.idx != expected:
                break
            if record.idx // WIDTH != number:
                number = record.idx // WIDTH
                hashes = proved.tile(0, number)
            place = record.idx % WIDTH * HASH
            computed, in_tile = leaf_hash(record.entry), hashes[place : place + HASH]
            if computed == in_tile and record.leaf in (None, computed):
                checks.entry(record)
            elif computed == in_tile:
                self.wrong.add(
                    f"{checks.name(record)}: its stored leaf hash was changed; its bytes and the signed tree agree"
                )
            else:
                self.wrong.add(f"{checks.name(record)}: its bytes are not those that were signed")
            expected += 1
            if expected % _BATCH == 0:
                self._progress(expected - start)
        self._entries = expected - start
        if expected < stop:
            self.wrong.add(f"entry {expected}: missing")
        self._notes += checks.end()
        self._notes.append(
            f"only entries {start} to {stop - 1} of {proved.size} were looked at / chỉ xem mục {start} đến {stop - 1}"
        )
        self._progress(self._entries)

    def _all_tiles(self, proved: ProvedTiles) -> None:
        for at, (level, number, width) in enumerate(
            sorted(tiles_of(proved.size), key=lambda tile: (-tile[0], tile[1]))
        ):
            proved.tile(level, number, width)
            if at % WIDTH == 0:
                self._progress(at)
        self._notes.append(NO_ENTRIES)


class _Checks:
    """The checks of entries in one pass, with names for what they find."""

    def __init__(self, kinds: Sequence[Callable[[], Check]], wrong: _Findings) -> None:
        self._checks: Final = [kind() for kind in kinds]
        self._each: Final = [check.entry for check in self._checks]
        self._wrong: Final = wrong

    def entry(self, record: Record) -> None:
        value, bad = read_entry(record.entry)
        if bad is not None:
            self._wrong.add(f"{self.name(record)}: {bad}")
            return
        for each in self._each:
            bad = each(record, value)
            if bad is not None:
                self._wrong.add(f"{self.name(record)}: {bad}")

    def end(self) -> Iterator[str]:
        for check in self._checks:
            for idx, bad in check.end():
                self._wrong.add(f"entry {idx}: {bad}")
            yield from check.notes()

    @staticmethod
    def name(record: Record) -> str:
        if record.transfer is not None:
            return f"entry {record.idx} (transfer {record.transfer}, {record.phase})"
        value, _bad = read_entry(record.entry)
        return f"entry {record.idx}" + (f" (transfer {str(value['transfer'])[:60]})" if "transfer" in value else "")


def _each(pages: Iterator[Sequence[Record]]) -> Iterator[Record]:
    for page in pages:
        yield from page


def _judge(computed: bytes, leaf: bytes | None, in_tile: bytes | None) -> str:
    """Three places hold what an entry is: its bytes, its leaf, the tile. The odd one out is what was changed."""
    if computed != leaf and leaf == in_tile:
        return "its bytes are not those that were logged"
    if computed == in_tile:
        return "its stored leaf hash was changed; its bytes and the tile agree"
    if computed == leaf or leaf is None:
        return "its tile is missing" if in_tile is None else "the tile holds another hash than its bytes give"
    return "its bytes, its leaf hash and the tile all disagree"


def _check_root(builder: Builder, marks: Marks, wrong: _Findings) -> None:
    for name, root in marks.get(builder.size, ()):
        if root_of_edge(builder) != root:
            wrong.add(f"{name}: its root is not that of the first {builder.size} entries")


class _Tiles:
    """The stored tiles: leaves one by one, and each tile of every level against the one that was computed."""

    def __init__(self, source: Source) -> None:
        self._source: Final = source
        self._number = -1
        self._hashes = b""
        self.compared = 0

    def leaf(self, idx: int) -> bytes | None:
        number, place = divmod(idx, WIDTH)
        if number != self._number:
            self._number, self._hashes = number, self._source.tile(0, number, WIDTH)
        return self._hashes[place * HASH : (place + 1) * HASH] or None

    def compare(self, builder: Builder, wrong: _Findings) -> None:
        """All tiles that grew since the last call. A tile that is not full yet is compared as far as it is known."""
        for tile in builder.take():
            stored = self._source.tile(tile.level, tile.number, tile.width)
            if stored != tile.hashes:
                if tile.level:  # level 0 was judged entry by entry
                    wrong.add(f"{_spanned(tile)}: its hashes are not what they give")
            elif tile.width == WIDTH or self._source.tile(tile.level, tile.number, WIDTH) == stored:
                self.compared += 1


def _spanned(tile: Tile) -> str:
    each = WIDTH**tile.level
    first = tile.number * WIDTH * each
    return f"{tile_path(tile.level, tile.number, tile.width)} (entries {first} to {first + tile.width * each - 1})"
