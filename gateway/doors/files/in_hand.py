"""Notes the current file before it is read, so that the next process knows the file at which this one died.

The note is in the instance's data folder: systems can write into their drop folders, including `work/`. A file is known
by the SHA-256 digest of its bytes.
Invariant: the note is synced before the file is parsed.
Invariant: a process that ends with a noted file counts as one death of that file, unless it released the file.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gateway.durable import sync_folder

MOST_DEATHS: Final = 2  # then a file is no longer parsed
_MOST_KEPT: Final = 1_000  # files and folders that are remembered
_REST_SECONDS, _MOST_REST, _REMEMBERED = 5.0, 300.0, 3600.0
log = logging.getLogger("lgsp.files")


class InHand:
    """The note of one process. `clock` gives Unix seconds."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._current: dict[str, str] | None = None
        self._deaths: dict[str, dict[str, Any]] = {}  # digest -> count, and the name in work/ that it had
        self._folders: dict[str, list[float]] = {}  # deaths of the last hour
        self._load()

    def take(self, folder: str, file: str, digest: str) -> int:
        """Notes the file unless it may not be parsed. Returns its deaths. Raises `OSError` if the note cannot be
        written.
        """
        count = self.deaths(digest)
        if count < MOST_DEATHS:
            self._current = {"folder": folder, "file": file, "digest": digest}
            self._write(synced=True)
        return count

    def let_go(self) -> None:
        """Releases the file. Not synced: a loss of power counts one death too many at worst."""
        if self._current is not None:
            self._current = None
            self._write(synced=False)

    def ended(self, digest: str) -> None:
        """The file has its result: its deaths are forgotten."""
        self._current = None
        self._deaths.pop(digest, None)
        self._write(synced=False)

    def deaths(self, digest: str) -> int:
        return int(self._deaths[digest]["count"]) if digest in self._deaths else 0

    def was_at_a_death(self, folder: str, file: str) -> bool:
        """Whether a file of that name was current at a death. Decides only the order of files."""
        return any((each["folder"], each["file"]) == (folder, file) for each in self._deaths.values())

    def rests(self, folder: str) -> bool:
        """Whether the files of a folder wait, because several processes died at them within the last hour."""
        now = self._clock()
        recent = [at for at in self._folders.get(folder, []) if 0 <= now - at < _REMEMBERED]
        more = len(recent) - MOST_DEATHS  # than one file can cause
        return more > 0 and now - max(recent) < min(_REST_SECONDS * 2.0 ** (more - 1), _MOST_REST)

    def _load(self) -> None:
        try:
            stored = json.loads(self._path.read_bytes())
            current, deaths, folders = stored["current"], dict(stored["deaths"]), dict(stored["folders"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as trouble:  # incomplete after a loss of power
            log.error("%s cannot be read, and begins anew: %s", self._path, type(trouble).__name__)
            return
        self._deaths, self._folders = deaths, folders
        if current is not None:
            self._count(current)

    def _count(self, current: dict[str, str]) -> None:
        folder, digest, now = current["folder"], current["digest"], self._clock()
        count = self.deaths(digest) + 1
        self._deaths.pop(digest, None)
        self._deaths[digest] = {"count": count, "folder": folder, "file": current["file"]}
        self._folders[folder] = [*(at for at in self._folders.get(folder, []) if 0 <= now - at < _REMEMBERED), now][
            -20:
        ]
        for kept in (self._deaths, self._folders):
            while len(kept) > _MOST_KEPT:
                kept.pop(next(iter(kept)))
        self._write(synced=True)
        log.error(
            "the process before this one died with a file of %s in hand: %s (death %d)", folder, current["file"], count
        )

    def _write(self, *, synced: bool) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.part")
        data = json.dumps({"current": self._current, "deaths": self._deaths, "folders": self._folders}).encode()
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(data)
            out.flush()
            if synced:
                os.fsync(out.fileno())
        os.replace(draft, self._path)
        if synced:
            sync_folder(self._path.parent)
