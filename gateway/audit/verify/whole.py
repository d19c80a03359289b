"""Verifies a whole log in one pass of constant memory: leaves, tiles and roots are computed from the raw entries."""

from __future__ import annotations

from typing import Final

from gateway.audit.verify.checks import CHECKS, Minutes
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.sources import Source
from gateway.audit.verify.verification import PROGRESS, EntryChecks, Points, Verification, each_record, name_of
from security.transparency.merkle import HASH, leaf_hash
from security.transparency.tiles import WIDTH, Builder, Tile, root_of_edge, tile_path

Roots = dict[int, list[tuple[str, bytes]]]  # size -> names and roots of the checkpoints to compare


def check_whole(work: Verification, size: int, signed: Points, outside: Points) -> None:
    """Checks all entries of a source of `size` entries against its tiles and all checkpoints."""
    findings, builder, stored = work.findings, Builder(), _StoredTiles(work.source)
    roots: Roots = {}
    for name, point in (*outside, *signed):
        roots.setdefault(point.size, []).append((name, point.root))
    minutes = Minutes({point.size for _name, point in signed})
    checks = EntryChecks(CHECKS, findings)
    _check_root(builder, roots, findings)
    for record in each_record(work.source.records(0, size)):
        idx = record.idx
        if idx != builder.size:
            if idx < builder.size:
                findings.add(f"{name_of(record)}: its index is not in order")
            else:
                gap = f"entry {builder.size}" if idx == builder.size + 1 else f"entries {builder.size} to {idx - 1}"
                findings.add(f"{gap}: missing; the next one is {name_of(record)}")
            break  # entries behind a gap have no place in the tree
        computed = leaf_hash(record.entry)
        in_tile = stored.leaf(idx)
        if computed == in_tile and (computed == record.leaf or record.leaf is None):
            checks.entry(record)
        else:
            findings.add(f"{name_of(record)}: {_judge(computed, record.leaf, in_tile)}")
        minutes.entry(record)
        builder.append(computed)
        if builder.size in roots:
            _check_root(builder, roots, findings)
        if builder.size % PROGRESS == 0:
            stored.compare(builder, findings)
            work.progress(builder.size)
    stored.compare(builder, findings)
    work.progress(builder.size)
    _check_end(work, signed, roots, builder.size)
    for text in (*minutes.missing, *work.source.rest(builder.size)):
        findings.add(text)
    work.notes += checks.end()
    work.size, work.root = builder.size, root_of_edge(builder)
    work.entries, work.tiles = builder.size, stored.compared


def _check_end(work: Verification, signed: Points, roots: Roots, size: int) -> None:
    top, findings, what = max(roots, default=0), work.findings, work.source.what
    if top > size:
        for name, _root in roots[top]:
            findings.add(f"{name} signs {top} entries; {what} holds {size} that follow one another")
    if not signed:
        if size:
            findings.add(f"{what} holds {size} entries and no signed checkpoint")
        return
    newest = max(point.size for _name, point in signed)
    if size > newest:
        findings.add(f"entry {newest} and those behind it: no checkpoint in {what} signs them")


def _check_root(builder: Builder, roots: Roots, findings: Findings) -> None:
    for name, root in roots.get(builder.size, ()):
        if root_of_edge(builder) != root:
            findings.add(f"{name}: its root is not that of the first {builder.size} entries")


def _judge(computed: bytes, leaf: bytes | None, in_tile: bytes | None) -> str:
    """Names the one of bytes, leaf and tile that differs from the other two: it was changed."""
    if computed != leaf and leaf == in_tile:
        return "its bytes are not those that were logged"
    if computed == in_tile:
        return "its stored leaf hash was changed; its bytes and the tile agree"
    if computed == leaf or leaf is None:
        return "its tile is missing" if in_tile is None else "the tile holds another hash than its bytes give"
    return "its bytes, its leaf hash and the tile all disagree"


class _StoredTiles:
    """The stored tiles, compared with the computed ones."""

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

    def compare(self, builder: Builder, findings: Findings) -> None:
        """Compares all tiles that grew since the last call; a partial tile as far as it is known."""
        for tile in builder.take():
            stored = self._source.tile(tile.level, tile.number, tile.width)
            if stored != tile.hashes:
                if tile.level:  # level 0 was compared entry by entry
                    findings.add(f"{_span_of(tile)}: its hashes are not what they give")
            elif tile.width == WIDTH or self._source.tile(tile.level, tile.number, WIDTH) == stored:
                self.compared += 1


def _span_of(tile: Tile) -> str:
    each = WIDTH**tile.level
    first = tile.number * WIDTH * each
    return f"{tile_path(tile.level, tile.number, tile.width)} (entries {first} to {first + tile.width * each - 1})"
