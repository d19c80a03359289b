"""The registry held against the log: the rows that the entries of its changes make, one after the other, and the rows that are there.

Each entry names the rows that it changed by their digests (`gateway.registry.seals.sealing`); replayed in order of the revision they give the digest of every row.
So what is found is a row: added, missing or altered. Nothing that `instance` says of itself is believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.errors import Failure
from contracts.folder.bundle import Bundle
from gateway.journal.schema import tables
from gateway.registry.seals.revisions import revision
from gateway.registry.seals.rows import apply, digest_of, misfits, rows
from gateway.registry.seals.sealing import PART, PHASES, Seal, Sealed, borne

MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Registered:
    """How many rows were held against how many entries, and what is wrong: up to twenty findings."""

    checked: Mapping[str, int]
    wrong: tuple[str, ...]


class _Told(NamedTuple):
    name: str
    entry: str
    facts: Mapping[str, Any]

    @property
    def number(self) -> int:
        return int(self.facts["revision"])


def check_registered(connection: Connection, seal: Seal | None) -> Registered:
    """`seal` None for whoever may read the database and not the keys: then it is not proved that the entries are the instance's own."""
    wrong: list[str] = []
    told, parts = _entries(connection, seal, wrong)
    actual = rows(connection)
    count = sum(map(len, actual.values()))
    if told:
        newest = _replay(connection, told, parts, actual, wrong)
        _judge_newest(connection, newest, wrong)
    elif seal is not None and seal.mark.read() is not None:
        wrong.append("the registry: no entry of this log says what its rows are")
    for digest, content in connection.execute(select(tables.bundle.c.digest, tables.bundle.c.content)):
        if _digest(bytes(content)) != digest:
            wrong.append(f"the registry, bundle {digest}: its content is not what its digest says")
    return Registered({"registry entries": len(told), "registry rows": count}, tuple(wrong[:MOST]))


def _entries(connection: Connection, seal: Seal | None, wrong: list[str]) -> tuple[list[_Told], dict[str, list[Any]]]:
    """Those that say what the registry is, in order of the revision, and the rows that stand in entries of their own."""
    told: list[_Told] = []
    parts: dict[str, list[Any]] = {}
    for table, key in ((tables.log_entry, tables.log_entry.c.idx), (tables.log_pending, tables.log_pending.c.id)):
        query = (
            select(key, table.c.transfer, table.c.phase, table.c.entry)
            .where(table.c.phase.in_((*PHASES, PART)))
            .order_by(key)
        )
        for number, transfer, phase, raw in connection.execute(query):
            name = f"entry {number}" if table is tables.log_entry else "a pending entry"
            name = f"{name} (transfer {transfer}, {phase})"
            if phase == PART:
                part = borne_part(bytes(raw))
                if part is not None:
                    parts.setdefault(str(part["entry"]), []).append(part["rows"])
                continue
            facts = borne(bytes(raw))
            if facts is None:
                continue
            if (
                not _well_made(facts)
                or seal is not None
                and not seal.proves(facts["revision"], facts["digest"], transfer, facts["seal"])
            ):
                wrong.append(f"{name}: says what the registry is, and its seal is not this instance's")
                continue
            told.append(_Told(name, transfer, facts))
    told.sort(key=lambda each: each.number)
    return told, parts


def _replay(
    connection: Connection,
    told: list[_Told],
    parts: Mapping[str, list[Any]],
    actual: Mapping[str, Mapping[str, str]],
    wrong: list[str],
) -> _Told:
    expected: dict[str, dict[str, str]] = {}
    before: int | None = None
    for each in told:
        if each.number == before:
            wrong.append(f"{each.name}: another entry says what revision {before} is")
        before = each.number
        if each.facts.get("whole"):
            expected = {}
        mine = parts.get(each.entry, [])
        if len(mine) != each.facts.get("parts"):
            wrong.append(
                f"{each.name}: {each.facts.get('parts')} entries with its rows belong to it, there are {len(mine)}"
            )
        for part in (*mine, each.facts["rows"]):
            expected = apply(expected, part)
    last = told[-1]
    if digest_of(expected) != last.facts["digest"]:
        wrong.append(f"{last.name}: its digest is not that of the rows that the entries up to it make")
    wrong += [
        f"the registry, {each.table} {each.key}: {each.how}, as against revision {last.number} in the log"
        for each in misfits(expected, actual)
    ]
    return last


def _judge_newest(connection: Connection, last: _Told, wrong: list[str]) -> None:
    number = revision(connection)
    if number != last.number:
        wrong.append(f"the registry is at revision {number}; the newest entry about it is of revision {last.number}")
    try:
        sealed = Sealed.read(connection)
    except ValueError:
        sealed = None
    if sealed is None or (sealed.revision, sealed.digest, sealed.entry) != (
        last.number,
        last.facts["digest"],
        last.entry,
    ):
        wrong.append("the registry: its newest seal in `instance` is not that of the newest entry about it")


def borne_part(entry: bytes) -> Mapping[str, Any] | None:
    """The facts of an entry that holds rows for another one."""
    try:
        facts = json.loads(entry)["facts"]
        return facts if isinstance(facts["rows"], dict) and isinstance(facts["entry"], str) else None
    except (KeyError, TypeError, ValueError):
        return None


def _well_made(facts: Mapping[str, Any]) -> bool:
    kinds = {"revision": int, "digest": str, "seal": str, "rows": dict}
    return all(isinstance(facts.get(name), kind) for name, kind in kinds.items())


def _digest(content: bytes) -> str | None:
    try:
        return Bundle.from_bytes(content).digest
    except (Failure, ValueError):
        return None
