"""A fair lock between all writers of one SQLite database, threads and processes, held around each batch.

SQLite's own waiting polls and can starve a writer; the kernel's queue does not. Two files make the queue fair. A writer
that waits for the lock holds the turnstile, so a writer that has just released the lock queues behind it.

Invariants:
- A holder that dies loses the lock at once (`flock` belongs to the open file).
- A lock without a path does nothing.
- A lock that is no longer used leaves no open file.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType


class FileLock:
    """Not reentrant. Threads may share one object; several objects on one path exclude each other, in any process."""

    __slots__ = ("_files", "_owner", "_thread", "path")

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._thread = threading.Lock()
        self._files: tuple[int, int] | None = None
        self._owner = 0

    def acquire(self) -> None:
        if self.path is None:
            return
        self._thread.acquire()
        try:
            # A fork shares its parent's lock: it needs files of its own.
            if self._files is None or self._owner != os.getpid():
                self._owner = os.getpid()
                self._files = (_open(self.path), _open(self.path.with_name(self.path.name + ".turn")))
            lock, turnstile = self._files
            fcntl.flock(turnstile, fcntl.LOCK_EX)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            finally:
                fcntl.flock(turnstile, fcntl.LOCK_UN)
        except BaseException:
            self._thread.release()
            raise

    def release(self) -> None:
        if self.path is None:
            return
        assert self._files is not None
        fcntl.flock(self._files[0], fcntl.LOCK_UN)
        self._thread.release()

    def close(self) -> None:
        """Closes the files; `acquire` opens them again."""
        with self._thread:
            files, self._files = self._files, None
            for file in files or ():
                os.close(file)

    def __del__(self) -> None:
        """A lock that nobody refers to is held by nobody. Its files would stay open for the life of the process."""
        for file in self._files or ():
            os.close(file)

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
