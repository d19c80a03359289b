"""Reads the entry of one phase of a transfer, wherever it stands: pending, in the log, or in a log that ended.

Invariant: the leaf is computed from the entry's bytes; what the row says it were is held against it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from gateway.journal.schema import tables
from security.transparency.merkle import leaf_hash


class Logged(NamedTuple):
    """`value` is the entry as read, empty where its bytes are no JSON object. `sound`: the row's leaf is that of its
    bytes.
    """

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


def free_phase(connection: Connection, transfer: str, phase: str) -> str:
    """A phase that this transfer does not have yet, since (transfer, phase) is unique: a second doubt is `in-doubt#2`."""
    before = 0
    for table in tables.LOGS:
        counted = (
            select(func.count()).select_from(table).where(table.c.transfer == transfer, table.c.phase.like(f"{phase}%"))
        )
        before += connection.execute(counted).scalar_one()
    return phase if not before else f"{phase}#{before + 1}"


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
