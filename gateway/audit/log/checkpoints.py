"""The newest signed checkpoint, in a file outside the database: the keeper writes it, doors read it.

Invariant: the file only goes forward, appears whole or not at all, and is on disk before a reader sees it.
"""

from __future__ import annotations

import base64
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from contracts.base.errors import Failure
from gateway.audit.errors import AUDIT_INCONSISTENT
from gateway.durable import make_folder, sync_folder, write_new
from gateway.journal.filelock import FileLock
from security.transparency.checkpoint import MAX_NOTE, Checkpoint, NoteError, split_note

_LOOK_SECONDS: Final = 0.25
_logger: Final = logging.getLogger("lgsp.audit")


def read_note(path: Path) -> str | None:
    """The note in such a file; None if there is none.

    Raises `audit.inconsistent` for anything else than a checkpoint, such as a folder or a pipe.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            reason = "it is no file"
        elif status.st_size > MAX_NOTE:
            reason = f"it has {status.st_size} bytes, and no checkpoint has more than {MAX_NOTE}"
        else:
            note = path.read_text("utf-8")
            Checkpoint.from_text(split_note(note)[0])
            return note
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as trouble:
        reason = str(trouble) if isinstance(trouble, NoteError) else f"{type(trouble).__name__}: {trouble}"
    raise AUDIT_INCONSISTENT(reason=f"the checkpoint outside the database, {path}, cannot be read: {reason}")


def size_of(note: str | Checkpoint) -> int:
    """The tree size that a checkpoint states; its signature is not checked."""
    return note.size if isinstance(note, Checkpoint) else int(note.split("\n", 2)[1])


class CheckpointFile:
    """The keeper's side."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._lock: Final = FileLock(path.with_name(path.name + ".lock"))

    def read(self) -> str | None:
        """The note; None before the first one."""
        return read_note(self.path)

    def advance(self, note: str) -> None:
        """Replaces the file by a later checkpoint; does nothing if another keeper was faster."""
        make_folder(self.path.parent)
        with self._lock:
            present = self.read()
            if present is not None and size_of(present) >= size_of(note):
                return
            draft = self.path.with_name(f".{self.path.name}.part")
            draft.unlink(missing_ok=True)  # left by a keeper that died; we hold the lock
            write_new(draft, note.encode())
            if present is not None and self.path.stat().st_mode & stat.S_IRGRP:  # auditors may read it, and go on to
                draft.chmod(0o640)
            os.replace(draft, self.path)
            sync_folder(self.path.parent)


class NewestCheckpoint:
    """The reader's side: one clock reading per call, and at most four looks at the file per second."""

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
        """The note in base64, as headers and receipts carry it."""
        self.note()
        return self._base64

    def _look(self) -> None:
        try:
            status = os.stat(self._path)
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
            if seen != self._seen:
                self._seen = seen
                self._note = read_note(self._path) or self._note
                self._base64 = base64.b64encode(self._note.encode()).decode("ascii")
        except OSError:
            pass  # keep the last note
        except Failure as trouble:  # the keeper stops at it; keep the last note
            _logger.error("%s", trouble)


class PublicCheckpoint:
    """What `/audit/checkpoint` serves: the newest note, or the newest with a quorum of cosignatures if it is recent.

    `seconds`: how much older the cosigned note may be.
    """

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
