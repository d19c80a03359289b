"""State of one verification of a log, and the checks of its entries in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.audit.verify.checks import Check, read_entry
from gateway.audit.verify.findings import Findings, Progress
from gateway.audit.verify.sources import Record, Source
from security.transparency import checkpoint as notes
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey
from security.transparency.merkle import EMPTY_ROOT

PROGRESS: Final = 1024  # entries between two reports of progress
Points = Sequence[tuple[str, Checkpoint]]  # checkpoints by name


@dataclass(slots=True, kw_only=True)
class Verification:
    """`size` and `root` are those of the checked tree; `entries`, `tiles` and `proofs` count what was checked."""

    source: Source
    key: NoteKey
    origin: str
    progress: Progress
    findings: Findings = field(default_factory=Findings)
    notes: list[str] = field(default_factory=list)
    size: int = 0
    root: bytes = EMPTY_ROOT
    entries: int = 0
    tiles: int = 0
    proofs: int = 0

    def open_note(self, name: str, note: str) -> Checkpoint | None:
        """The checkpoint of a signed note; None, and a finding, if the trusted key did not sign it."""
        try:
            return notes.verify(note, self.key, origin=self.origin)
        except NoteError as error:
            self.findings.add(f"{name}: {error}")
            return None


class EntryChecks:
    """The checks of entries in one pass; their findings name the entry."""

    def __init__(self, kinds: Sequence[Callable[[], Check]], findings: Findings) -> None:
        self._checks: Final = [kind() for kind in kinds]
        self._methods: Final = [check.entry for check in self._checks]
        self._findings: Final = findings

    def entry(self, record: Record) -> None:
        value, trouble = read_entry(record.entry)
        if trouble is not None:
            self._findings.add(f"{name_of(record)}: {trouble}")
            return
        for method in self._methods:
            trouble = method(record, value)
            if trouble is not None:
                self._findings.add(f"{name_of(record)}: {trouble}")

    def end(self) -> Iterator[str]:
        """Adds the findings that need all entries; yields the notes."""
        for check in self._checks:
            for idx, trouble in check.end():
                self._findings.add(f"entry {idx}: {trouble}")
            yield from check.notes()


def name_of(record: Record) -> str:
    if record.transfer is not None:
        return f"entry {record.idx} (transfer {record.transfer}, {record.phase})"
    value, _trouble = read_entry(record.entry)
    return f"entry {record.idx}" + (f" (transfer {str(value['transfer'])[:60]})" if "transfer" in value else "")


def each_record(pages: Iterator[Sequence[Record]]) -> Iterator[Record]:
    for page in pages:
        yield from page
