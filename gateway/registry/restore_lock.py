"""Locks a restored instance: it accepts and sends nothing until an officer confirms what the restore reverted.

After the confirmation it opens when all messages signed before the restore have expired. The replay keys were reverted
too, so such a message could be accepted twice.
Invariant: the lock is written in the transaction of the restored data, so a restored instance is never open before.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from gateway.journal.values import keep, value_of
from gateway.registry.seals.revisions import raise_revision
from security.freshness import SKEW
from security.http_signatures import LIFETIME

RESTORED: Final = "restored"
WINDOW: Final = LIFETIME + 2 * SKEW  # seconds: a message made by a fast clock, checked by a slow one


def hold(connection: Connection, at: float, facts: Mapping[str, Any]) -> None:
    keep(connection, RESTORED, json.dumps({**facts, "at": at, "confirmed": False}, ensure_ascii=False))
    raise_revision(connection)


def digest_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 in hex of the reverted facts; it is in the restore's entry of the audit log."""
    stated = {name: value for name, value in facts.items() if name not in ("at", "confirmed")}
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


def newest_restore(connection: Connection) -> dict[str, Any] | None:
    """The facts of the newest restore, confirmed or not; None if there was no restore."""
    text = value_of(connection, RESTORED)
    facts: dict[str, Any] | None = None if text is None else json.loads(text)
    return facts


def held_until(connection: Connection) -> float:
    """When the doors open, in Unix seconds: 0 without a restore, infinity before the confirmation."""
    facts = newest_restore(connection)
    if facts is None:
        return 0.0
    return float(facts["at"]) + WINDOW if facts["confirmed"] else math.inf


def confirm(connection: Connection) -> float | None:
    """Confirm the restore; returns when the doors open, or None if there is nothing to confirm."""
    facts = newest_restore(connection)
    if facts is None or facts["confirmed"]:
        return None
    keep(connection, RESTORED, json.dumps(facts | {"confirmed": True}, ensure_ascii=False))
    raise_revision(connection)
    return float(facts["at"]) + WINDOW
