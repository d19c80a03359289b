"""Keeps the highest registry revision that this machine has seen, in a file outside the database.

Old rows that are put back with their old entry and seal verify; this file shows that a later revision was in force.
Invariant: the number never falls within one log. A new log (after a restore, with its own origin) starts again.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Final, NamedTuple

from gateway.durable import write_new
from gateway.journal.filelock import FileLock
from gateway.registry.errors import REGISTRY_ALTERED

_log: Final = logging.getLogger("lgsp.registry")


class Seen(NamedTuple):
    origin: str
    revision: int
    digest: str


class Mark:
    """The file. Every change of the registry and every loaded revision raises it."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._lock: Final = FileLock(path.with_name(path.name + ".lock"))
        self._last: Seen | None = None

    def read(self) -> Seen | None:
        """The stored value, None if there is no file. Raises `registry.altered` for an invalid file."""
        try:
            value = json.loads(self.path.read_text("utf-8"))
            return Seen(str(value["origin"]), int(value["revision"]), str(value["digest"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise REGISTRY_ALTERED(rows=f"{self.path}: not readable", count=1) from None

    def lift(self, to: Seen) -> None:
        """Raise the value if it is lower. A full disk is ignored, since the log has the newest entry anyway."""
        if to == self._last:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._lock:
                stands = self.read()
                if stands is None or stands.origin != to.origin or stands.revision < to.revision:
                    self._put(to)
        except OSError as trouble:
            _log.error("%s was not written: %s", self.path, trouble)
            return
        self._last = to

    def _put(self, to: Seen) -> None:
        draft = self.path.with_name(f".{self.path.name}.part")
        draft.unlink(missing_ok=True)  # left by a process that died; this one has the lock
        write_new(draft, json.dumps(to._asdict()).encode())
        os.replace(draft, self.path)
