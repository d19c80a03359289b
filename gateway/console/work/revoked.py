"""The revoked signing keys of a system: which, since when, by whom and why, from the registry and the log.

A refusal names the caller as the channel proved it. The key of a signature that did not hold is not proved, so all of
the system's revoked keys are named.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from contracts.base.times import rfc3339
from gateway.audit.search.search import Query, reading, search
from gateway.console.site.desk import Desk
from gateway.journal.schema import tables
from gateway.registry.records import ACTIVE

CODE: Final = "signature.key-revoked"
_AROUND: Final = 300.0  # seconds between a revocation and its entry, at most
_LOOKED: Final = 200


@dataclass(frozen=True, slots=True)
class RevokedKey:
    """`at` is RFC 3339, or as an outside authority says it. `actor` and `entry` are None if the log has no entry."""

    id: str
    at: str
    reason: str  # of RFC 5280
    actor: str | None = None
    entry: int | None = None
    words: str = ""  # the reason that the actor gave


def revoked_keys(desk: Desk, system: str) -> tuple[RevokedKey, ...]:
    """In the order of their ids."""
    table, found = tables.system_key.c, []
    known = sorted(desk.services.registry.snapshot.keys.values(), key=lambda each: each.key_id)
    with reading(desk.services.engine) as connection:
        for key in known:
            if (key.system, key.use) != (system, "sign") or key.state == ACTIVE:
                continue
            at = connection.scalar(select(table.revoked).where(table.key_id == key.key_id))
            if at is None:  # by the authority that issued it
                found.append(RevokedKey(key.key_id, key.since, key.reason))
                continue
            query = Query(kind="registry", since=at - _AROUND, until=at + _AROUND)
            hits = search(connection, query, limit=_LOOKED).hits
            each = RevokedKey(key.key_id, rfc3339(at), key.reason)
            for hit in hits:
                facts = json.loads(hit.entry).get("facts", {})
                if _revokes(facts, key.key_id):
                    each = RevokedKey(
                        each.id, each.at, each.reason, hit.facts.actor, hit.idx, str(facts.get("reason", ""))
                    )
            found.append(each)
    return tuple(found)


def _revokes(facts: dict[str, object], key: str) -> bool:
    changes = facts.get("changes")
    return any(
        each.get("what") == "key" and each.get("id") == key and each.get("how") == "revoked"
        for each in (changes if isinstance(changes, list) else ())
        if isinstance(each, dict)
    )
