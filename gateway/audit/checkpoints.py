"""The newest signed checkpoint, kept outside the database: the keeper writes it, doors read it.

Invariant: the file only ever goes forward, appears whole or not at all, and is on disk before anybody is shown it.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.audit.durable import make_folder, sync_folder, write_new
from gateway.journal.filelock import FileLock

_LOOK_SECONDS: Final = 0.25


def size_of(note: str) -> int:
    """The tree size that a checkpoint states, without looking at its signature."""
    return int(note.split("\n", 2)[1])


class CheckpointFile:
    """The writer's side."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._lock: Final = FileLock(path.with_name(path.name + ".lock"))

    def read(self) -> str | None:
        """The note; None before the first one."""
        try:
            return self.path.read_text("utf-8")
        except FileNotFoundError:
            return None

    def advance(self, note: str) -> None:
        """Replace the file by a later checkpoint. A keeper that was overtaken meanwhile changes nothing."""
        make_folder(self.path.parent)
        with self._lock:
            standing = self.read()
            if standing is not None and size_of(standing) >= size_of(note):
                return
            draft = self.path.with_name(f".{self.path.name}.part")
            draft.unlink(missing_ok=True)  # of a keeper that died while it wrote: we hold the lock
            write_new(draft, note.encode(), 0o644)
            os.replace(draft, self.path)
            sync_folder(self.path.parent)


class NewestCheckpoint:
    """The reader's side: costs a clock reading a call, and a look at the file at most four times a second."""

    __slots__ = ("_base64", "_looked", "_note", "_path", "_seen")

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._looked = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._note = ""
        self._base64 = ""

    def note(self) -> str:
        """The signed note; empty before the first one."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._look()
        return self._note

    def base64(self) -> str:
        """The note as it stands in headers and receipts."""
        self.note()
        return self._base64

    def _look(self) -> None:
        try:
            stat = os.stat(self._path)
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen != self._seen:
                self._note = self._path.read_text("utf-8")
                self._base64 = base64.b64encode(self._note.encode()).decode("ascii")
                self._seen = seen
        except FileNotFoundError:
            pass  # not yet, or between two looks: what was shown before still holds


class PublicCheckpoint:
    """What `/audit/checkpoint` gives: the newest note, or the newest that has its quorum of cosignatures, while that is not much older."""

    __slots__ = ("_clock", "_cosigned", "_newest", "_path", "_seconds")

    def __init__(self, newest: NewestCheckpoint, cosigned: Path, seconds: float, clock: Callable[[], float]) -> None:
        self._newest: Final = newest
        self._path: Final = cosigned
        self._cosigned: Final = NewestCheckpoint(cosigned)
        self._seconds: Final = seconds
        self._clock: Final = clock

    def note(self) -> str:
        newest, cosigned = self._newest.note(), self._cosigned.note()
        if not cosigned or cosigned.partition("\n")[0] != newest.partition("\n")[0]:
            return newest
        if size_of(cosigned) >= size_of(newest):
            return cosigned
        try:
            age = self._clock() - self._path.stat().st_mtime
        except FileNotFoundError:
            return newest
        return cosigned if age <= self._seconds else newest
