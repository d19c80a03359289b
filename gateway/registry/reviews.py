"""Half-yearly reviews of access: an officer signs a statement of what was reviewed, and the log keeps it.

The statement is canonical JSON (RFC 8785): instance, time, revision of the registry, and the digest of the matrix of
access as it was then. It is signed as an approval is. So anybody can later make the matrix of that revision again, and
see what the officer had before him.
Invariant: a statement with another digest than that of its revision and time is not recorded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select

from contracts.base import jcs
from contracts.base.times import rfc3339
from gateway.journal.schema import tables
from gateway.registry import history
from gateway.registry.changes.matrix import matrix, text
from gateway.registry.changes.officers import officers
from gateway.registry.errors import REVIEW_OTHER, unknown
from gateway.registry.seals.revisions import revision
from gateway.registry.snapshot import Snapshot, load_snapshot
from security.grants.approvals import check

KIND: Final = "access-review"  # the note
EVERY: Final = 182 * 86_400.0
SOON: Final = 30 * 86_400.0
FRESH: Final = 86_400.0  # in which a signature may be brought from elsewhere
MOST_BYTES: Final = 2048
_NAMES: Final = {"review", "instance", "registry", "at", "matrix"}


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The content of a statement."""

    instance: str
    registry: int
    at: str
    matrix: str

    def content(self) -> bytes:
        return jcs.encode(
            {
                "review": "access",
                "instance": self.instance,
                "registry": self.registry,
                "at": self.at,
                "matrix": self.matrix,
            }
        )

    def facts(self, officer: str, signature: str) -> dict[str, Any]:
        """For the log."""
        statement = self.content().decode()
        return {"officer": officer, "statement": statement, "signature": signature, "revision": self.registry}

    @classmethod
    def read(cls, content: bytes) -> Reviewed | None:
        """None for anything but a statement in its canonical form."""
        try:
            value = json.loads(content) if len(content) <= MOST_BYTES else None
            if not isinstance(value, dict) or set(value) != _NAMES or value["review"] != "access":
                return None
            read = cls(str(value["instance"]), int(value["registry"]), str(value["at"]), str(value["matrix"]))
            return read if read.content() == content and read.seconds is not None else None
        except (ValueError, TypeError, RecursionError):
            return None

    @property
    def seconds(self) -> float | None:
        try:
            return datetime.fromisoformat(self.at).timestamp()
        except ValueError:
            return None


def stated(connection: Connection, snapshot: Snapshot, instance: str, now: float) -> Reviewed:
    """The statement about the registry as it is now."""
    at = rfc3339(now)
    return Reviewed(instance, revision(connection), at, digest(snapshot, datetime.fromisoformat(at).timestamp()))


def digest(snapshot: Snapshot, at: float) -> str:
    """SHA-256 of the matrix as `lgsp access matrix --at` prints it, in hex."""
    return hashlib.sha256(text(snapshot, list(matrix(snapshot, at))).encode()).hexdigest()


def digest_then(connection: Connection, reviewed: Reviewed) -> str:
    """The digest of the matrix of that revision and time. Raises an error of `registry.` if it is not known."""
    with history.opened(connection, reviewed.registry) as past:
        return digest(load_snapshot(past), reviewed.seconds or 0.0)


def take(connection: Connection, content: bytes, officer: str, signature: str, instance: str, now: float) -> Reviewed:
    """Check a signed statement, so that it may be recorded. Raises `review.other`, or an error of `approval.`."""
    reviewed = Reviewed.read(content)
    if reviewed is None or reviewed.instance != instance or reviewed.seconds is None:
        raise REVIEW_OTHER(why="another text, or of another instance")
    if not now - FRESH <= reviewed.seconds <= now + 1:
        raise REVIEW_OTHER(why=f"of {reviewed.at}")
    signer = officers(connection).get(officer)
    if signer is None:
        raise unknown("officer", officer)
    check("review", content, None, signer, signature)
    if not 0 < reviewed.registry <= revision(connection) or digest_then(connection, reviewed) != reviewed.matrix:
        raise REVIEW_OTHER(why="its matrix is not that of its revision")
    return reviewed


def due(connection: Connection, last: float | None) -> float | None:
    """When the next review is due, after the `last` one or after the registry's beginning; None before that."""
    table = tables.registry_history.c
    begun = connection.scalar(select(func.min(table.since)))
    since = last if last is not None else begun
    return None if since is None else float(since) + EVERY
