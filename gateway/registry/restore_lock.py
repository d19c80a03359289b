"""An instance that was restored is held: its doors take nothing, nothing queued leaves, until an officer confirms what went back in time with the database.

Even then it opens only when every message that was signed before the restore is past its time: the keys by which a repeat is known went back too, so a
message of the last minute could be accepted a second time.
Invariant: the hold stands in the same transaction as the restored data, so there is no moment at which a restored instance is open.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.journal.schema import tables
from gateway.registry.seals.revisions import raise_revision, remember
from security.freshness import SKEW
from security.http_signatures import LIFETIME

RESTORED: Final = "restored"
WINDOW: Final = LIFETIME + 2 * SKEW  # a message made at the restore by a fast clock, looked at by a slow one


def hold(connection: Connection, at: float, facts: Mapping[str, Any]) -> None:
    remember(connection, RESTORED, json.dumps({**facts, "at": at, "confirmed": False}, ensure_ascii=False))
    raise_revision(connection)


def digest_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 in hex of what a restore left to be gone through; the note of the restore bears it."""
    told = {name: value for name, value in facts.items() if name not in ("at", "confirmed")}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def held(connection: Connection) -> dict[str, Any] | None:
    """What the newest restore left to be confirmed, or what was confirmed; None where there never was one."""
    text = connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == RESTORED))
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found


def held_until(connection: Connection) -> float:
    """When the doors open: 0 for one that was never restored, infinity until somebody confirms."""
    found = held(connection)
    if found is None:
        return 0.0
    return float(found["at"]) + WINDOW if found["confirmed"] else math.inf


def confirm(connection: Connection) -> float | None:
    """Let it open; from when on it does. None if there is nothing to confirm."""
    found = held(connection)
    if found is None or found["confirmed"]:
        return None
    remember(connection, RESTORED, json.dumps(found | {"confirmed": True}, ensure_ascii=False))
    raise_revision(connection)
    return float(found["at"]) + WINDOW
