"""What a machine whose keeper does not lead takes from the database: checkpoints, and the deadline of admission.

The leading keeper writes files beside the database; doors and desks read those of their own machine. Elsewhere a
follower keeps them current from the database, within a second or two.

Invariant: what is taken from the database is proved first. Checkpoints are signed by the log's key, and the deadline
bears a keyed hash, so that nobody who can only write the database opens the doors.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, select

from gateway.audit.errors import AUDIT_INCONSISTENT
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.witnessing.admission import write_deadline
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.settings import Settings

KEY: Final = "admission"  # in `instance`
Seal = Callable[[str], str]  # the keyed hash of a text


def share(connection: Connection, until: str, seal: Seal) -> None:
    """Writes the deadline for the other machines, in a transaction that checks the lease."""
    value = f"{until} {seal(_sealed(until))}"
    keep(connection, KEY, value)


class Follower:
    """Of a keeper process, while it does not lead."""

    def __init__(self, engine: Engine, settings: Settings, key: LogKey, seal: Seal) -> None:
        self._engine: Final = engine
        self._settings: Final = settings
        self._key: Final = key
        self._seal: Final = seal
        self._taken: Final[dict[Path, str]] = {}

    def catch_up(self) -> None:
        """Raises `audit.inconsistent` for what the database has and this instance never wrote."""
        settings, checkpoint, cosigned = self._settings, tables.checkpoint.c, tables.cosigned.c
        with self._engine.connect() as connection:
            newest = connection.scalar(select(checkpoint.note).order_by(checkpoint.size.desc()).limit(1))
            witnessed = connection.scalar(select(cosigned.note).order_by(cosigned.size.desc()).limit(1))
            stored = None
            if settings.witness_policy == "closed" or settings.stamp_policy == "closed":
                stored = value_of(connection, KEY)
        self._take(settings.checkpoint_file, newest, self._advance)
        self._take(settings.cosigned_file, witnessed, self._advance)
        self._take(settings.deadline_file, stored, self._admit)

    def _take(self, path: Path, text: str | None, write: Callable[[Path, str], None]) -> None:
        if text is not None and self._taken.get(path) != text:
            write(path, str(text))
            self._taken[path] = text

    def _advance(self, path: Path, note: str) -> None:
        self._key.verify(note)
        CheckpointFile(path).advance(note)

    def _admit(self, path: Path, stored: str) -> None:
        until, _, seal = stored.partition(" ")
        if not hmac.compare_digest(seal.encode(), self._seal(_sealed(until)).encode()):
            raise AUDIT_INCONSISTENT(reason=f"the deadline in `instance`, {KEY}, was not written by this instance")
        write_deadline(path, until)


def _sealed(until: str) -> str:
    return f"admission until {until}"
