"""Answers `add-checkpoint` (C2SP tlog-witness): the checks in the specification's order, then the cosignature.

Invariants:
- One judge at a time compares and replaces the stored size of a log.
- The answer leaves only after what it says is on disk.
- A log never gets a cosignature for a smaller size than before, nor for two roots of one size.
- The times of a witness's cosignatures for one log never go back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from gateway.witness.state import Folder, Held
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey, open_note
from security.transparency.cosignature import AddCheckpoint, CosignerKey, cosign
from security.transparency.merkle import EMPTY_ROOT, ProofError, verify_consistency

SIZE: Final = "text/x.tlog.size"
TEXT: Final = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """Status, media type, body, and a line for the witness's own log."""

    status: int
    kind: str
    body: str
    log_line: str


class Judge:
    """Cosigns for the logs of one folder."""

    def __init__(self, folder: Folder, clock: Callable[[], float]) -> None:
        self._folder: Final = folder
        self._clock: Final = clock
        self.key: CosignerKey
        self.key, self._private = folder.key()

    def add_checkpoint(self, body: bytes) -> Answer:
        """Blocks until the state is on disk; call it in a thread."""
        try:
            request = AddCheckpoint.from_text(body.decode("utf-8"))
        except ValueError as trouble:
            return _refused(400, str(trouble), "a malformed request")
        origin = request.note.partition("\n")[0]
        known = self._folder.read(origin)
        if known is None:
            return _refused(404, "this log is not known here", "an unknown log")
        text = _signed(request.note, known)
        if text is None:
            return _refused(
                403, "no key that is trusted for this log signed this checkpoint", f"{origin}: not signed by its key"
            )
        try:
            checkpoint = Checkpoint.from_text(text)
        except NoteError as trouble:
            return _refused(400, str(trouble), f"{origin}: {trouble}")
        if request.old > checkpoint.size:
            return _refused(
                400,
                "the old size is larger than the checkpoint's",
                f"{origin}: old {request.old}, asked {checkpoint.size}",
            )
        with self._folder.alone(origin):
            held = self._folder.read(origin)
            assert held is not None  # a log is never removed
            return self._judge(held, request, checkpoint, text)

    def _judge(self, held: Held, request: AddCheckpoint, checkpoint: Checkpoint, text: str) -> Answer:
        seen = held.checkpoint
        size, root = (0, EMPTY_ROOT) if seen is None else (seen.size, seen.root)
        if request.old != size:
            return Answer(409, SIZE, f"{size}\n", f"{held.origin}: goes on from {request.old}, held is {size}")
        if size == checkpoint.size and root != checkpoint.root:
            self._folder.forked(
                AddCheckpoint(size, (), held.note or "").text(), request.text(), f"{held.origin}\n{size}"
            )
            return Answer(
                409,
                SIZE,
                f"{size}\n",
                f"{held.origin}: FORKED, another root for the size {size}; the request is kept as evidence",
            )
        try:
            verify_consistency(size, checkpoint.size, root, checkpoint.root, request.proof)
        except ProofError as trouble:
            self._folder.object(request.text())
            return _refused(
                422,
                str(trouble),
                f"{held.origin}: UNPROVEN from {size} to {checkpoint.size}: {trouble}; the request is kept as evidence",
            )
        time = max(int(self._clock()), held.time)
        self._folder.write(replace(held, note=request.note, time=time))
        return Answer(
            200, TEXT, cosign(text, self._private, self.key.name, time), f"{held.origin}: cosigned {checkpoint.size}"
        )


def _signed(note: str, known: Held) -> str | None:
    for vkey in known.vkeys:
        try:
            return open_note(note, NoteKey.from_text(vkey))
        except NoteError:
            continue
    return None


def _refused(status: int, words: str, log_line: str) -> Answer:
    return Answer(status, TEXT, f"{words}\n", log_line)
