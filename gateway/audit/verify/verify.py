"""Verifies a log with a key, an origin and outside checkpoints that do not come from the verified data.

It works on every source (`gateway.audit.verify.sources`):
- A whole log: leaves, order of indexes, tiles, root, signed and outside checkpoints are checked (`whole`).
- A range: its leaves are computed and found in tiles that lead to the signed root (`ranges`).
- Without entries: every tile is led to the signed root, and the report says that entries were not looked at.

Invariant: what is reported as ok was computed here; statements of the data about themselves are not trusted.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gateway.audit.verify.findings import Progress
from gateway.audit.verify.forms import guarded
from gateway.audit.verify.ranges import check_range
from gateway.audit.verify.sources import DatabaseSource, Opening, Source
from gateway.audit.verify.verification import Points, Verification
from gateway.audit.verify.whole import check_whole
from security.transparency import checkpoint as notes
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey
from security.transparency.merkle import ProofError, leaf_hash, verify_inclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Numbers of what was checked, and up to twenty findings, in the order found.

    `root` is in base64, as in checkpoints. `notes` are no errors: open intents, and what was not looked at.
    """

    ok: bool
    size: int
    root: str
    checked: Mapping[str, int]
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def first_wrong(self) -> str | None:
        return self.wrong[0] if self.wrong else None


class Only(NamedTuple):
    """The entries to verify, both inclusive; None is where the log begins or ends."""

    first: int | None = None
    last: int | None = None


EVERYTHING: Final = Only()


def verify_log(
    connection: Connection,
    vkey: str | NoteKey,
    *,
    origin: str | None = None,
    newest: str | None = None,
    kept: str | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Verifies the whole log of a database.

    The log must continue both notes: `newest` is the checkpoint file beside it, `kept` a copy from elsewhere.
    """
    named = (("the checkpoint beside the database", newest), ("the kept checkpoint", kept))
    outside = [(name, note) for name, note in named if note is not None]
    return verify(DatabaseSource(connection), vkey, origin=origin, outside=outside, on_progress=on_progress)


def verify(
    source: Source,
    vkey: str | NoteKey,
    *,
    origin: str | None = None,
    outside: Sequence[tuple[str, str | Checkpoint]] = (),
    only: Only = EVERYTHING,
    on_progress: Progress | None = None,
) -> Report:
    """Verifies a source with the trusted key `vkey`, or a part of it.

    `outside`: checkpoints by name that the log must continue, as signed notes or as a signed entry of another log
    states them. `on_progress` is called with the number of entries (or tiles) done.
    """
    key = NoteKey.from_text(vkey) if isinstance(vkey, str) else vkey
    progress = on_progress or (lambda done: None)
    work = Verification(source=source, key=key, origin=origin or key.name, progress=progress)
    if not isinstance(source, DatabaseSource):
        return _verified(work, outside, only)
    nothing = _report(work, 0, 0, 0)
    report = guarded(None, "the log", work.findings.add, lambda: _verified(work, outside, only), nothing)
    return report if report is not nothing else _report(work, 0, 0, 0)


def _verified(work: Verification, outside: Sequence[tuple[str, str | Checkpoint]], only: Only) -> Report:
    source, opened = work.source, work.source.open()
    for text in opened.wrong:
        work.findings.add(text)
    kept = [
        (name, point)
        for name, note in outside
        if (point := note if isinstance(note, Checkpoint) else work.open_note(name, note)) is not None
    ]
    signed, shown = _signed(work, opened)
    continued = [*kept, *shown]
    _check_proofs(work, opened)
    partial = opened.first > 0 or opened.stop not in (None, opened.size) or only != EVERYTHING
    if opened.claims and not signed:
        work.findings.add(
            f"{source.what} holds no checkpoint that the trusted key signed: nothing can be proved under it"
        )
    elif opened.stop is not None and opened.stop <= opened.first:
        _check_proofs_only(work, opened, signed, continued)
    elif opened.readable and not partial:
        check_whole(work, opened.size, signed, continued)
    else:
        start = opened.first if only.first is None else only.first
        stop = only.last + 1 if only.last is not None else opened.stop if opened.stop is not None else opened.size
        check_range(work, (start, stop) if opened.readable else None, signed, continued)
    return _report(work, len(signed), len(kept), len(shown))


def _report(work: Verification, signed: int, kept: int, shown: int) -> Report:
    checked = {
        "entries": work.entries,
        "tiles": work.tiles,
        "checkpoints": signed,
        "checkpoints from outside": kept,
    }
    if shown:
        checked["checkpoints that were cosigned or stamped"] = shown
    if work.proofs:
        checked["proofs"] = work.proofs
    wrong = tuple(work.findings.wrong)
    root = base64.b64encode(work.root).decode("ascii")
    return Report(ok=not wrong, size=work.size, root=root, checked=checked, wrong=wrong, notes=tuple(work.notes))


def _signed(work: Verification, opened: Opening) -> tuple[Points, Points]:
    """The log's own checkpoints, and those that were cosigned or stamped."""
    own: list[tuple[str, Checkpoint]] = []
    shown: list[tuple[str, Checkpoint]] = []
    for each in opened.signed:
        if each.shown and each.note.partition("\n")[0] != work.origin:
            continue  # of a log that ended: stamps stay in their table
        point = work.open_note(each.name, each.note)
        if point is None:
            continue
        if each.size not in (None, point.size) or each.root not in (None, point.root):
            work.findings.add(f"{each.name}: the row and the signed note disagree")
        (shown if each.shown else own).append((each.name, point))
    return own, shown


def _check_proofs(work: Verification, opened: Opening) -> None:
    """Checks entries that have proofs beside them."""
    for each in opened.proofs:
        for text in each.proofs:
            try:
                proof = notes.LogProof.from_text(text)
            except NoteError as error:
                work.findings.add(f"{each.name}: {error}")
                continue
            point = work.open_note(each.name, proof.note)
            if point is not None:
                try:
                    verify_inclusion(leaf_hash(each.entry), proof.index, point.size, proof.hashes, point.root)
                except ProofError as error:
                    work.findings.add(f"{each.name}: {error}")
            work.proofs += 1


def _check_proofs_only(work: Verification, opened: Opening, signed: Points, outside: Points) -> None:
    """Checks an export of single transfers, which holds no tree."""
    if signed:
        top = max((point for _name, point in signed), key=lambda point: point.size)
        work.size, work.root = top.size, top.root
    for name, point in outside:
        if (point.size, point.root) != (work.size, work.root):
            work.findings.add(
                f"{name}: {work.source.what} holds no tiles, so that it goes on from size {point.size} cannot be proved"
            )
    count = len(opened.proofs)
    work.notes.append(
        f"only the {count} entries with proofs of their own were looked at / chỉ xem {count} mục có bằng chứng riêng"
    )
