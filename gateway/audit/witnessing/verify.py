"""Verifies stored cosignatures and time-stamps with keys and anchors that do not come from the verified data.

`gateway.audit.verify.verify` computes the tree from the entries. Here each note must be the log's own, its root that of
the tiles, and its cosigners or authority known.

Invariant: what is counted as checked was verified here, with a given key or anchor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography import x509
from sqlalchemy import Connection, select

from gateway.audit.log.tiles import BrokenTile, root_at
from gateway.audit.witnessing.admission import STAMPS, WITNESSES
from gateway.journal.schema import tables
from security.pki import timestamp
from security.pki.timestamp import Unstamped
from security.transparency import checkpoint as notes
from security.transparency.checkpoint import NoteError, NoteKey
from security.transparency.cosignature import CosignerKey, quorum

_MOST: Final = 20
_ROWS: Final = {"cosigned checkpoints": WITNESSES, "time-stamps": STAMPS}
_BATCH: Final = 500
AHEAD_SECONDS: Final = 300.0  # a signed time further ahead of our clock is not accepted
_TRIED: Final = 8  # newest rows that are tried: an attacker who adds invalid rows can only close the doors
Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Outside:
    """Counts of what was checked, and up to twenty findings.

    `newest`: the largest verified size by kind. `notes` are no errors: stamps of a clock that was far from ours.
    """

    ok: bool
    checked: Mapping[str, int]
    newest: Mapping[str, int]
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Trusted(NamedTuple):
    """From outside: the keys of witnesses and how many are needed, and anchors of time-stamps."""

    witnesses: Sequence[CosignerKey] = ()
    needed: int = 1
    anchors: Sequence[x509.Certificate] = ()


def verify_outside(
    connection: Connection,
    key: NoteKey,
    origin: str,
    trusted: Trusted,
    on_progress: Progress | None = None,
) -> Outside:
    """Verifies cosignatures if witnesses are trusted, stamps if anchors are; a kind without any row is a finding."""
    witnesses, needed, anchors = trusted
    wrong: list[str] = []
    clock_notes: list[str] = []
    checked: dict[str, int] = {}
    newest: dict[str, int] = {}
    seen = 0

    def take(kind: str, rows: Iterator[Any], judge: Callable[[Any], str | None]) -> None:
        nonlocal seen
        checked[kind], newest[kind] = 0, 0
        for row in rows:
            trouble = _own(connection, row, key, origin) or judge(row)
            if trouble is None:
                checked[kind], newest[kind] = checked[kind] + 1, max(newest[kind], int(row.size))
            elif len(wrong) < _MOST:
                wrong.append(trouble)
            seen += 1
            if on_progress is not None:
                on_progress(seen)
        if not checked[kind] and not wrong:
            wrong.append(f"there are no {kind}")
        claimed = (
            connection.execute(
                select(tables.witness_status.c.size).where(tables.witness_status.c.kind == _ROWS[kind])
            ).scalar()
            or 0
        )
        if checked[kind] and claimed > newest[kind]:
            wrong.append(
                f"{kind}: {claimed} entries were confirmed from outside, and what is here proves {newest[kind]}:"
                " rows were deleted, or that one was changed"
            )

    if witnesses:
        table = tables.cosigned.c
        rows = _rows(connection, select(table.size, table.note), table.size)
        take("cosigned checkpoints", rows, lambda row: _cosigned(row, witnesses, needed))
    if anchors:
        stamps = tables.stamp.c
        query = select(
            stamps.size, stamps.note, stamps.digest, stamps.question, stamps.answer, stamps.id, stamps.received
        )
        # Stamps of ended logs stay in the table.
        query = query.where(stamps.note.startswith(f"{origin}\n", autoescape=True))
        take("time-stamps", _rows(connection, query, stamps.id), lambda row: _stamped(row, anchors, clock_notes))
    return Outside(not wrong, checked, newest, tuple(wrong), tuple(clock_notes[:_MOST]))


def newest_cosigned(
    connection: Connection, key: NoteKey, top: int, now: float, witnesses: Sequence[CosignerKey], needed: int
) -> tuple[int, float]:
    """Size and time of the newest verified checkpoint up to `top` with a quorum; zeros if there is none.

    A checkpoint that is cosigned for a future time is skipped: it would look younger at every start.
    """
    table = tables.cosigned.c
    for row in connection.execute(_newest(select(table.size, table.note), table.size, table, key, top)).all():
        if _own(connection, row, key, key.name) is None and _cosigned(row, witnesses, needed) is None:
            at = float(min(each.time for each in quorum(row.note, witnesses, needed)))
            if at <= now + AHEAD_SECONDS:
                return int(row.size), at
    return 0, 0.0


def newest_stamped(
    connection: Connection, key: NoteKey, top: int, now: float, anchors: Sequence[x509.Certificate]
) -> tuple[int, float]:
    """The same for time-stamps."""
    table = tables.stamp.c
    query = select(table.size, table.note, table.digest, table.question, table.answer, table.id)
    for row in connection.execute(_newest(query, table.id, table, key, top)).all():
        if _own(connection, row, key, key.name) is None and _stamped(row, anchors) is None:
            answer, question = bytes(row.answer), bytes(row.question)
            at = timestamp.read(answer, bytes(row.digest), anchors, nonce=timestamp.nonce_of(question)).time
            if at <= now + AHEAD_SECONDS:
                return int(row.size), at
    return 0, 0.0


def _newest(query: Any, order: Any, table: Any, key: NoteKey, top: int) -> Any:
    own = table.note.startswith(f"{key.name}\n", autoescape=True)
    return query.where(table.size <= top, own).order_by(table.size.desc(), order.desc()).limit(_TRIED)


def _rows(connection: Connection, query: Any, key: Any) -> Iterator[Any]:
    """All rows in order of `key`, a batch at a time, so that the connection can be used meanwhile."""
    after = -1
    while batch := connection.execute(query.where(key > after).order_by(key).limit(_BATCH)).all():
        yield from batch
        after = int(getattr(batch[-1], key.name))


def _own(connection: Connection, row: Any, key: NoteKey, origin: str) -> str | None:
    """Why a row is no checkpoint of this log; None if it is."""
    name = f"the checkpoint of {row.size} entries that outsiders signed"
    try:
        point = notes.verify(row.note, key, origin=origin)
    except NoteError as trouble:
        return f"{name}: {trouble}"
    if point.size != row.size:
        return f"{name}: the row and the signed note disagree"
    try:
        root = root_at(connection, point.size)
    except (BrokenTile, ValueError) as trouble:
        return f"{name}: {trouble}"
    return None if root == point.root else f"{name}: the log no longer goes on from it"


def _cosigned(row: Any, witnesses: Sequence[CosignerKey], needed: int) -> str | None:
    try:
        quorum(row.note, witnesses, needed)
    except NoteError as trouble:
        return f"the cosigned checkpoint of {row.size} entries: {trouble}"
    return None


def _stamped(row: Any, anchors: Sequence[x509.Certificate], clock_notes: list[str] | None = None) -> str | None:
    name = f"time-stamp {row.id} of the checkpoint of {row.size} entries"
    digest = hashlib.sha256(row.note.encode()).digest()
    if digest != bytes(row.digest):
        return f"{name}: the note is not the one that was stamped"
    try:
        proved = timestamp.read(bytes(row.answer), digest, anchors, nonce=timestamp.nonce_of(bytes(row.question)))
    except Unstamped as trouble:
        return f"{name}: {trouble}"
    if clock_notes is not None and abs(proved.time - row.received) > AHEAD_SECONDS:
        clock_notes.append(f"{name}: the authority's clock and ours differed by {proved.time - row.received:+.0f} s")
    return None


def stamp_files(row: Any) -> dict[str, bytes]:
    """One stamp as files for `openssl ts -verify`: the note, the request, the response."""
    return {
        "checkpoint": row.note.encode(),
        "checkpoint.tsq": bytes(row.question),
        "checkpoint.tsr": bytes(row.answer),
    }


def write_stamp(folder: Path, row: Any) -> dict[str, Path]:
    files = stamp_files(row)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}
