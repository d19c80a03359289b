"""Notes which file is in hand before it is read, so that a file at which the process died is known when the next one starts.

The note lies in the instance's own data folder: a system may write into its drop folder, `work/` too, and must not undo what is counted here. A file
is known by the SHA-256 digest of its bytes, whatever name it is given.
Invariants
- The note of a file is synced before the file is parsed.
- A process that ends while a file is noted counts as one death of that file; whoever lets go of it in order does not.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

MOST_DEATHS: Final = 2  # a file that was in hand at so many is parsed no more
_MOST_KEPT: Final = 1_000  # files and folders that are remembered
_REST_SECONDS, _MOST_REST, _REMEMBERED = 5.0, 300.0, 3600.0
log = logging.getLogger("lgsp.files")


class InHand:
    """The note of one process. `clock` gives seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._current: dict[str, str] | None = None
        self._deaths: dict[str, dict[str, Any]] = {}  # digest -> count, and the name in work/ that it had
        self._folders: dict[str, list[float]] = {}  # deaths of the last hour
        self._load()

    def take(self, folder: str, file: str, digest: str) -> int:
        """How many processes died with this file in hand; where it may be parsed, it is noted as taken up. `OSError` where that cannot be written."""
        count = self.deaths(digest)
        if count < MOST_DEATHS:
            self._current = {"folder": folder, "file": file, "digest": digest}
            self._write(synced=True)
        return count

    def let_go(self) -> None:
        """Nothing is in hand any more. Not synced: after a loss of power, one death too many is counted at worst."""
        if self._current is not None:
            self._current = None
            self._write(synced=False)

    def ended(self, digest: str) -> None:
        """The file has its result: what was counted of it is forgotten."""
        self._current = None
        self._deaths.pop(digest, None)
        self._write(synced=False)

    def deaths(self, digest: str) -> int:
        return int(self._deaths[digest]["count"]) if digest in self._deaths else 0

    def was_at_a_death(self, folder: str, file: str) -> bool:
        """Whether a file of that name in work/ was in hand at a death: it is taken up after all others. No more than an order rests on the name."""
        return any((each["folder"], each["file"]) == (folder, file) for each in self._deaths.values())

    def rests(self, folder: str) -> bool:
        """Whether the files of a folder have to wait, because processes died at them again and again within the last hour."""
        now = self._clock()
        recent = [at for at in self._folders.get(folder, []) if 0 <= now - at < _REMEMBERED]
        more = len(recent) - MOST_DEATHS  # than one file can bring about
        return more > 0 and now - max(recent) < min(_REST_SECONDS * 2.0 ** (more - 1), _MOST_REST)

    def _load(self) -> None:
        try:
            found = json.loads(self._path.read_bytes())
            current, deaths, folders = found["current"], dict(found["deaths"]), dict(found["folders"])
        except FileNotFoundError:
            return
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
        ) as trouble:  # written half at a loss of power: nothing is known then
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
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
