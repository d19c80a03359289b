"""Verifies a range of entries, or all tiles without entries, under the root of the newest signed checkpoint."""

from __future__ import annotations

from typing import Final

from gateway.audit.verify.checks import OF_A_RANGE
from gateway.audit.verify.verification import PROGRESS, EntryChecks, Points, Verification, each_record, name_of
from security.transparency.merkle import HASH, ProofError, leaf_hash
from security.transparency.proved_tiles import ProvedTiles
from security.transparency.tiles import WIDTH, Builder, root_of_edge, tiles_of

NO_ENTRIES: Final = (
    "the entries themselves were not looked at: only hashes and checkpoints / chỉ xem mã băm và điểm kiểm tra"
)


def check_range(work: Verification, span: tuple[int, int] | None, signed: Points, outside: Points) -> None:
    """Checks the entries from `span[0]` to before `span[1]`; with None all tiles, as the entries cannot be read."""
    findings, what = work.findings, work.source.what
    if not signed:
        findings.add(f"{what} holds no checkpoint that the trusted key signed: a range cannot be proved under it")
        return
    top = max((point for _name, point in signed), key=lambda point: point.size)
    work.size, work.root = top.size, top.root
    if span is not None and not 0 <= span[0] < span[1] <= top.size:
        findings.add(f"entries {span[0]} to {span[1] - 1}: the signed log has {top.size}, from 0 to {top.size - 1}")
        return
    try:
        proved = ProvedTiles(top.size, top.root, work.source.tile)
    except ProofError as error:
        findings.add(f"{what}: {error}")
        return
    try:
        _check_prefixes(work, proved, (*outside, *signed))
        if span is None:
            _check_tiles(work, proved)
        else:
            _check_entries(work, proved, *span)
    except ProofError as error:
        findings.add(str(error))
    for text in work.source.rest(top.size):
        findings.add(text)
    work.tiles = proved.read_tiles


def _check_prefixes(work: Verification, proved: ProvedTiles, points: Points) -> None:
    for name, point in points:
        if point.size > proved.size:
            work.findings.add(f"{name} signs {point.size} entries; {work.source.what} holds {proved.size}")
        elif root_of_edge(Builder.load(point.size, proved.tile)) != point.root:
            work.findings.add(f"{name}: its root is not that of the first {point.size} entries")


def _check_entries(work: Verification, proved: ProvedTiles, start: int, stop: int) -> None:
    findings, expected = work.findings, start
    checks = EntryChecks(OF_A_RANGE, findings)
    number, hashes = -1, b""
    for record in each_record(work.source.records(start, stop)):
        if record.idx != expected:
            break
        if record.idx // WIDTH != number:
            number = record.idx // WIDTH
            hashes = proved.tile(0, number)
        place = record.idx % WIDTH * HASH
        computed, in_tile = leaf_hash(record.entry), hashes[place : place + HASH]
        if computed != in_tile:
            findings.add(f"{name_of(record)}: its bytes are not those that were signed")
        elif record.leaf not in (None, computed):
            findings.add(f"{name_of(record)}: its stored leaf hash was changed; its bytes and the signed tree agree")
        else:
            checks.entry(record)
        expected += 1
        if expected % PROGRESS == 0:
            work.progress(expected - start)
    work.entries = expected - start
    if expected < stop:
        findings.add(f"entry {expected}: missing")
    work.notes += checks.end()
    work.notes.append(
        f"only entries {start} to {stop - 1} of {proved.size} were looked at / chỉ xem mục {start} đến {stop - 1}"
    )
    work.progress(work.entries)


def _check_tiles(work: Verification, proved: ProvedTiles) -> None:
    from_top = sorted(tiles_of(proved.size), key=lambda tile: (-tile[0], tile[1]))
    for done, (level, number, width) in enumerate(from_top):
        proved.tile(level, number, width)
        if done % WIDTH == 0:
            work.progress(done)
    work.notes.append(NO_ENTRIES)
