"""The entry that the log has of one phase of a transfer, wherever it stands by now: pending, in the log, in a log that ended.

Invariant: the leaf is computed from the entry's bytes; what the row says it were is held against it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from gateway.journal.schema import tables
from security.transparency.merkle import leaf_hash


class Logged(NamedTuple):
    """`value` is the entry as read, empty where its bytes are no JSON object. `sound`: the row's leaf is that of its bytes."""

    value: Mapping[str, Any]
    leaf: bytes
    sound: bool


def entry_of(connection: Connection, transfer: str, phase: str) -> Logged | None:
    for table in tables.LOGS:
        row = connection.execute(
            select(table.c.entry, table.c.leaf).where(table.c.transfer == transfer, table.c.phase == phase)
        ).first()
        if row is not None:
            raw = bytes(row[0])
            leaf = leaf_hash(raw)
            return Logged(parse(raw), leaf, leaf == bytes(row[1]))
    return None


def parse(raw: bytes) -> Mapping[str, Any]:
    """The entry as read. What is no entry of ours tells nothing; `audit verify` says what is wrong with it."""
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def told_of(entry: Mapping[str, Any]) -> dict[str, object]:
    """What the entry of an intent says of the columns of its transfer, by their names."""
    caller = entry.get("caller")
    who = caller if isinstance(caller, dict) else {}
    said: dict[str, object] = {
        "id": entry.get("transfer"),
        "caller_agency": who.get("agency"),
        "caller_system": who.get("system"),
    }
    said |= {name: entry.get(name) for name in ("contract", "operation", "bundle", "provider")}
    return said | {"grant_id": entry.get("grant")}
