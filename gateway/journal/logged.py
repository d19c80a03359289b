"""Reads the entry of one phase of a transfer: pending, in the log, or in a log that ended.

Invariant: the leaf is computed from the entry's bytes and compared with the leaf in the row.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, or_, select

from gateway.journal.schema import tables
from security.transparency.merkle import leaf_hash

TRIES_SHOWN: Final = 20


class Logged(NamedTuple):
    """An entry as read. `value` is empty if its bytes are no JSON object.

    `sound`: the row's leaf is that of its bytes.
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


class FailedTries(NamedTuple):
    """The newest failed tries of a delivery, oldest first; `earlier` counts those left out."""

    tries: tuple[Mapping[str, Any], ...]
    earlier: int


def failed_tries(connection: Connection, transfer: str) -> FailedTries:
    """When each try failed, with which code, reason and findings, as the log's notes say (`transfer.entries`)."""
    tries: list[Mapping[str, Any]] = []
    raws: dict[str, bytes] = {}  # by phase: an entry may move to the next table while it is read
    for table in tables.LOGS:
        phase = table.c.phase
        rows = connection.execute(
            select(phase, table.c.entry).where(
                table.c.transfer == transfer, or_(phase.like("queued%"), phase.like("try-failed%"))
            )
        )
        raws |= {name: bytes(raw) for name, raw in rows}
    for raw in raws.values():
        value = parse(raw)
        facts = value.get("facts")
        if isinstance(facts, dict):
            known = {name: facts[name] for name in ("failure", "reason", "findings", "more") if name in facts}
            tries.append({"at": value.get("at"), "try": facts.get("try", 1), **known})
    tries.sort(key=lambda each: str(each["at"]))
    return FailedTries(tuple(tries[-TRIES_SHOWN:]), max(0, len(tries) - TRIES_SHOWN))


class Decided(NamedTuple):
    """What a person decided about a transfer; `act` is a `gateway.delivery.decisions.Act`."""

    transfer: str
    at: str
    act: str
    actor: str
    reason: str


def decisions(connection: Connection, transfers: Collection[str], kinds: Collection[str]) -> list[Decided]:
    """Of these transfers, as the log's notes say; oldest first. `kinds` are those of the notes."""
    found: dict[tuple[str, str], Decided] = {}  # by phase: an entry may move to the next table while it is read
    for table in tables.LOGS:
        phase = table.c.phase
        rows = connection.execute(
            select(table.c.transfer, phase, table.c.entry).where(
                table.c.transfer.in_(transfers),
                or_(*(or_(phase == kind, phase.like(f"{kind}#%")) for kind in kinds)),
            )
        )
        for transfer, name, raw in rows:
            value = parse(bytes(raw))
            facts = value.get("facts")
            if isinstance(facts, dict):
                found[transfer, name] = Decided(
                    transfer=transfer,
                    at=str(value.get("at")),
                    act=str(facts.get("act") or ""),
                    actor=str(value.get("actor")),
                    reason=str(facts.get("reason") or ""),
                )
    return sorted(found.values(), key=lambda each: each.at)


def free_phase(connection: Connection, transfer: str, phase: str) -> str:
    """A phase that this transfer does not have yet, as (transfer, phase) is unique (`next_phase`)."""
    kind = phase.partition("#")[0]
    taken = set[str]()  # names, not rows: an entry may move to the next table while it is read
    for table in tables.LOGS:
        name = table.c.phase
        found = select(name).where(table.c.transfer == transfer, or_(name == kind, name.like(f"{kind}#%")))
        taken |= set(connection.execute(found).scalars())
    return next_phase(phase, taken)


def next_phase(phase: str, taken: Collection[str]) -> str:
    """The phase itself if it is not taken, else with the next free number: `in-doubt`, `in-doubt#2`, `in-doubt#3`.

    `phase` may have a number already, which is replaced.
    """
    if phase not in taken:
        return phase
    kind, count = phase.partition("#")[0], 2
    while (name := f"{kind}#{count}") in taken:
        count += 1
    return name


def parse(raw: bytes) -> Mapping[str, Any]:
    """The parsed entry; empty for bytes that are no entry. `lgsp audit verify` reports what is wrong with those."""
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def intent_columns(entry: Mapping[str, Any]) -> dict[str, object]:
    """The values of the transfer's columns, by name, according to the entry of its intent."""
    caller = entry.get("caller")
    if not isinstance(caller, dict):
        caller = {}
    return {
        "id": entry.get("transfer"),
        "caller_agency": caller.get("agency"),
        "caller_system": caller.get("system"),
        **{name: entry.get(name) for name in ("contract", "operation", "bundle", "provider")},
        "grant_id": entry.get("grant"),
    }
