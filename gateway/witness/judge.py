"""What a witness answers to `add-checkpoint` (C2SP tlog-witness): the checks in the specification's order, and the cosignature.

Invariants: the size that is held is compared, and replaced, by one judge at a time; the line leaves only after what it says is on disk; a log never gets a
cosignature for less than it had one for, nor for two roots of one size. The times that a witness gives for one log never go back.
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


class Said(NamedTuple):
    """An answer: status, media type, body; and for the witness's own log, what happened."""

    status: int
    kind: str
    body: str
    told: str


class Judge:
    """Cosigns for the logs of one folder."""

    def __init__(self, folder: Folder, clock: Callable[[], float]) -> None:
        self._folder: Final = folder
        self._clock: Final = clock
        self.key: CosignerKey
        self.key, self._private = folder.key()

    def add_checkpoint(self, body: bytes) -> Said:
        """Blocks until the state is on disk; to be called in a thread."""
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
            asked = Checkpoint.from_text(text)
        except NoteError as trouble:
            return _refused(400, str(trouble), f"{origin}: {trouble}")
        if request.old > asked.size:
            return _refused(
                400, "the old size is larger than the checkpoint's", f"{origin}: old {request.old}, asked {asked.size}"
            )
        with self._folder.alone(origin):
            held = self._folder.read(origin)
            assert held is not None  # a log is never removed
            return self._judge(held, request, asked, text)

    def _judge(self, held: Held, request: AddCheckpoint, asked: Checkpoint, text: str) -> Said:
        seen = held.checkpoint
        size, root = (0, EMPTY_ROOT) if seen is None else (seen.size, seen.root)
        if request.old != size:
            return Said(409, SIZE, f"{size}\n", f"{held.origin}: goes on from {request.old}, held is {size}")
        if size == asked.size and root != asked.root:
            self._folder.forked(
                AddCheckpoint(size, (), held.note or "").text(), request.text(), f"{held.origin}\n{size}"
            )
            return Said(
                409,
                SIZE,
                f"{size}\n",
                f"{held.origin}: FORKED, another root for the size {size}; the request is kept as evidence",
            )
        try:
            verify_consistency(size, asked.size, root, asked.root, request.proof)
        except ProofError as trouble:
            self._folder.object(request.text())
            return _refused(
                422,
                str(trouble),
                f"{held.origin}: UNPROVEN from {size} to {asked.size}: {trouble}; the request is kept as evidence",
            )
        time = max(int(self._clock()), held.time)
        self._folder.write(replace(held, note=request.note, time=time))
        return Said(
            200, TEXT, cosign(text, self._private, self.key.name, time), f"{held.origin}: cosigned {asked.size}"
        )


def _signed(note: str, known: Held) -> str | None:
    for vkey in known.vkeys:
        try:
            return open_note(note, NoteKey.from_text(vkey))
        except NoteError:
            continue
    return None


def _refused(status: int, words: str, told: str) -> Said:
    return Said(status, TEXT, f"{words}\n", told)
