"""Compares the registry's rows with those that the entries of its changes give.

Each entry holds the digests of the rows that it changed (`gateway.registry.seals.sealing`). Replayed in order of the
revision they give the digest of every row, so that each added, missing or altered row is found. So are the versions of
rows in the history (`gateway.audit.verify.history`).

Content that two officers approve is compared with their signatures too (`gateway.registry.changes.unapproved`).
Invariant: statements of `instance` about itself are not trusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.errors import Failure
from contracts.folder.bundle import Bundle
from gateway.audit.verify.forms import guarded
from gateway.audit.verify.history import check_history
from gateway.journal.schema import tables
from gateway.registry.changes.unapproved import unapproved
from gateway.registry.seals.revisions import revision
from gateway.registry.seals.rows import apply, digest_of, misfits, rows
from gateway.registry.seals.sealed import Sealed
from gateway.registry.seals.sealing import PART, PHASES, Seal, borne

MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Registered:
    """Counts of what was checked, and up to twenty findings."""

    checked: Mapping[str, int]
    wrong: tuple[str, ...]


class _Change(NamedTuple):
    name: str
    entry: str
    facts: Mapping[str, Any]

    @property
    def number(self) -> int:
        return int(self.facts["revision"])


def check_registered(connection: Connection, seal: Seal | None) -> Registered:
    """Compares registry and log. Without `seal` (no access to the keys) the entries' seals are not checked."""
    wrong: list[str] = []
    changes, parts = _entries(connection, seal, wrong)
    stored = rows(connection)
    count = sum(map(len, stored.values()))
    if changes:
        newest = _replay(connection, changes, parts, stored, wrong)
        _judge_newest(connection, newest, wrong)
        wrong += _bases(changes)
    elif seal is not None and seal.mark.read() is not None:
        wrong.append("the registry: no entry of this log says what its rows are")
    for digest, content in connection.execute(select(tables.bundle.c.digest, tables.bundle.c.content)):
        if _digest(bytes(content)) != digest:
            wrong.append(f"the registry, bundle {digest}: its content is not what its digest says")
    paths = guarded(connection, "what officers approved", wrong.append, lambda: unapproved(connection), list[str]())
    wrong += [f"{path}: in force, and neither two officers signed it nor was it founded" for path in paths]
    versions = guarded(connection, "the registry's history", wrong.append, lambda: check_history(connection, wrong), 0)
    checked = {"registry entries": len(changes), "registry rows": count, "versions of registry rows": versions}
    return Registered(checked, tuple(wrong[:MOST]))


def _entries(connection: Connection, seal: Seal | None, wrong: list[str]) -> tuple[list[_Change], dict[str, list[Any]]]:
    """The entries that state the registry, in order of the revision, and rows that are in entries of their own."""
    changes: list[_Change] = []
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
                part = _borne_part(bytes(raw))
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
            changes.append(_Change(name, transfer, facts))
    changes.sort(key=lambda each: each.number)
    return changes, parts


def _replay(
    connection: Connection,
    changes: list[_Change],
    parts: Mapping[str, list[Any]],
    stored: Mapping[str, Mapping[str, str]],
    wrong: list[str],
) -> _Change:
    expected: dict[str, dict[str, str]] = {}
    before: int | None = None
    for each in changes:
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
    last = changes[-1]
    if digest_of(expected) != last.facts["digest"]:
        wrong.append(f"{last.name}: its digest is not that of the rows that the entries up to it make")
    wrong += [
        f"the registry, {each.table} {each.key}: {each.how}, as against revision {last.number} in the log"
        for each in misfits(expected, stored)
    ]
    return last


def _bases(changes: list[_Change]) -> list[str]:
    """The entries that state another basis of approved content than the first one that states any."""
    stated = [(each.name, each.facts.get("basis")) for each in changes]
    known = next((basis for _, basis in stated if basis is not None), None)
    begun = False
    wrong: list[str] = []
    for name, basis in stated:
        begun = begun or basis is not None
        if begun and basis != known:
            wrong.append(f"{name}: founds content of the registry that was founded otherwise before")
    return wrong


def _judge_newest(connection: Connection, last: _Change, wrong: list[str]) -> None:
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


def _borne_part(entry: bytes) -> Mapping[str, Any] | None:
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
