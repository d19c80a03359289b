"""Keeps the newest checkpoint of the audit log and proves each newer one consistent with it.

RFC 6962 section 2.1.2 (consistency proofs), C2SP tlog-checkpoint.

    <origin>.checkpoint      the newest proved checkpoint: a signed note (for `lgsp audit verify --checkpoint`)
    <origin>.pending         notes not proved yet, each with the time at which it was first seen
    <origin>.objection-…     evidence of an inconsistency: both notes and the reason
    <origin>.lock            the lock between processes of one identity

Invariant: only notes with a valid signature are kept.
Invariant: the kept checkpoint is replaced only by one proved consistent with it.
Invariant: after an objection the older checkpoint stays, so every later call objects until a person decides.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

from contracts.base.errors import ErrorType
from gateway.client.errors import (
    CLIENT_LOG_FORKED,
    CLIENT_LOG_KEY,
    CLIENT_LOG_OTHER,
    CLIENT_LOG_ROLLED_BACK,
    CLIENT_LOG_UNPROVEN,
    CLIENT_STATE,
    BadState,
    LogObjection,
)
from gateway.client.identities.identity import for_owner_alone
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey, verify
from security.transparency.merkle import ProofError, verify_consistency

PATIENCE: Final = 3600.0  # seconds a checkpoint may stay unproved before that is an objection

# The hashes from the older size to the newer; None if the log gave no answer; LookupError if it has no such sizes.
Fetch = Callable[[int, int], Awaitable[Sequence[bytes] | None]]


class CheckpointMonitor:
    """Monitors one log; its files are in one folder."""

    def __init__(self, key: NoteKey, folder: Path, clock: Callable[[], float]) -> None:
        self._key = key
        self._folder = folder
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._file = folder / f"{quote(key.name, safe='')}.checkpoint"
        self._make_folder()
        self._seen = self._read()

    @property
    def note(self) -> str | None:
        """The newest proved checkpoint, as received."""
        return self._seen

    @property
    def kept(self) -> Checkpoint | None:
        return None if self._seen is None else self._open(self._seen)

    @property
    def pending(self) -> dict[str, float]:
        """Notes not proved yet -> time at which each was first seen, in Unix seconds."""
        try:
            notes: dict[str, float] = json.loads(self._beside("pending").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return notes

    @property
    def objections(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._file.stem}.objection-*"))

    def begin(self, note: str) -> None:
        """Keep the first checkpoint of a log that a person accepted, unless one is kept already."""
        self._open(note)
        if self._seen is None:
            self._keep(note)

    async def see(self, note: str, fetch: Fetch) -> None:
        """Check the note of a proven answer. Raises `LogObjection` if the log is inconsistent."""
        if self._is_known(note):
            return
        self._open(note)
        async with self._one_at_a_time:
            if self._is_known(note):  # another call proved it meanwhile
                return
            self._seen = self._read()  # another process of this identity may have moved on
            seen = {note: self._clock()} | self.pending
            proved: set[str] = set()
            for each in sorted(seen, key=lambda text: self._open(text).size):
                if await self._proved(each, fetch):
                    proved.add(each)
                elif self._clock() - seen[each] > PATIENCE:
                    self._object(CLIENT_LOG_UNPROVEN, each, hours=round((self._clock() - seen[each]) / 3600, 1))
            self._await(seen, proved)

    def _is_known(self, note: str) -> bool:
        """Whether nothing is to be proved. A log that shows the kept note again still owes the proof of newer ones."""
        return note == self._seen and not self._beside("pending").exists()

    def _await(self, seen: dict[str, float], proved: set[str]) -> None:
        """Store the notes not proved yet, including those of other processes."""
        with self._alone():
            left = {text: at for text, at in (self.pending | seen).items() if text not in proved}
            if left:
                self._write(self._beside("pending"), json.dumps(left))
            else:
                self._beside("pending").unlink(missing_ok=True)

    async def _proved(self, note: str, fetch: Fetch) -> bool:
        """True if this note is consistent with the kept one; False if that is not known yet."""
        while (consistent := await self._compared(note, fetch)) and self._open(note).size > (
            self.kept.size if self.kept else -1
        ):
            if self._keep(note):
                break  # else another process kept a newer one: prove again from there
        return consistent

    async def _compared(self, note: str, fetch: Fetch) -> bool:
        kept, shown = self.kept, self._open(note)
        if kept is None:
            return True
        older, newer = sorted((kept, shown), key=lambda each: each.size)
        hashes: Sequence[bytes] | None = ()
        if 0 < older.size < newer.size:
            try:
                hashes = await fetch(older.size, newer.size)
            except LookupError:
                if shown.size < kept.size:
                    self._object(CLIENT_LOG_ROLLED_BACK, note)
                return False
        if hashes is None:
            return False
        try:
            verify_consistency(older.size, newer.size, older.root, newer.root, hashes)
        except ProofError as wrong:
            self._object(CLIENT_LOG_FORKED, note, reason=str(wrong))
        return True

    def _open(self, note: str) -> Checkpoint:
        """Raises `LogObjection` unless the log's key signed this note for this log."""
        try:
            return verify(note, self._key, origin=self._key.name)
        except NoteError as wrong:
            shown = note.partition("\n")[0][:200]
            if shown != self._key.name and shown.isprintable():
                self._object(CLIENT_LOG_OTHER, note, shown=shown)
            self._object(CLIENT_LOG_KEY, note, reason=str(wrong))

    def _object(self, error: ErrorType[..., LogObjection], note: str, **facts: Any) -> NoReturn:
        """Store the evidence, then raise."""
        kept = self._seen
        evidence = {"code": error.code, "origin": self._key.name, "kept": kept, "shown": note, **facts}
        mark = hashlib.sha256(f"{error.code}{kept}{note}".encode()).hexdigest()[:16]
        place = self._beside(f"objection-{mark}")
        if not place.exists():
            self._write(place, json.dumps(evidence, ensure_ascii=False, indent=1) + "\n")
        sizes = {"older_size": _size(kept), "newer_size": _size(note)}
        raise error(older=kept or "", newer=note, kept=place, origin=self._key.name, **sizes, **facts)

    def _beside(self, what: str) -> Path:
        return self._file.with_suffix(f".{what}")

    def _read(self) -> str | None:
        """The kept checkpoint; a damaged file is an objection, so monitoring never restarts silently."""
        try:
            note = self._file.read_text("utf-8", "replace")
        except FileNotFoundError:
            return None
        except OSError as wrong:
            raise self._bad(wrong.strerror) from None
        self._seen = None
        self._open(note)
        return note

    def _keep(self, note: str) -> bool:
        """Replace the note that it was compared with; False if another process replaced that one first."""
        with self._alone():
            compared_with, newest = self._seen, self._read()
            if newest == compared_with:
                self._write(self._file, note)
                newest = note
            self._seen = newest
            return newest == note

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Exclude other processes with an SQLite lock, which ends with its process on every platform."""
        place, lock = self._beside("lock"), None
        try:
            for_owner_alone(place)  # whoever may read it could lock it too
            lock = sqlite3.connect(place, timeout=10.0, isolation_level=None)
            lock.execute("begin exclusive")
        except (OSError, sqlite3.Error) as wrong:
            if lock is not None:
                lock.close()
            raise self._bad(str(wrong)) from None
        try:
            yield
        finally:
            lock.close()

    def _write(self, place: Path, text: str) -> None:
        """Write a file atomically."""
        try:
            handle, part = tempfile.mkstemp(prefix=".", dir=self._folder)
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(part).replace(place)
        except OSError as wrong:
            raise self._bad(wrong.strerror) from None

    def _make_folder(self) -> None:
        """Create the folder at start, so that an unwritable one is reported before anything is sent."""
        try:
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # `parents` ignores the mode
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as wrong:
            raise self._bad(wrong.strerror) from None
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise self._bad(os.strerror(errno.EACCES))

    def _bad(self, reason: str | None) -> BadState:
        return CLIENT_STATE(folder=self._folder, reason=reason or "?")


def _size(note: str | None) -> str:
    """The size stated in a note, verified or not."""
    return (note or "").split("\n")[1][:20] if (note or "").count("\n") > 1 else "–"
