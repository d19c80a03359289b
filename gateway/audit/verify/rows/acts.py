"""Verifies the signed statements in notes: who is named as acting did sign for that act.

A statement is verified by the key of the registered person or officer, whose id keeps its key for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from gateway.audit.verify.findings import Findings
from gateway.journal.schema import tables
from gateway.registry.changes.officers import acting
from security.grants.approvals import Officer
from security.grants.statements import Statement, signed

# What every freezing of a proof begins with, in the canonical form; entries without it are not parsed.
_MARK = b'"proof":{'
_OTHERS = ("intent", "outcome", "refusal", "repeat", "in-doubt")


def check_acts(connection: Connection, wrong: Findings) -> None:
    people, count = acting(connection), 0
    for name, raw in _notes(connection):
        try:
            value = json.loads(raw)
            proof, actor = value.get("proof"), str(value.get("actor"))
        except (ValueError, AttributeError):  # the check of entries reports it
            continue
        if proof is None:
            continue
        count += 1
        if trouble := _trouble(proof, actor, people):
            wrong.add(f"{name}: {trouble}")
    wrong.count("acts of persons", count)


def _notes(connection: Connection) -> Iterator[tuple[str, bytes]]:
    for table, key in ((tables.log_entry, tables.log_entry.c.idx), (tables.log_pending, tables.log_pending.c.id)):
        query = select(key, table.c.entry).where(table.c.phase.not_in(_OTHERS)).order_by(key)
        for number, entry in connection.execute(query):
            if _MARK in (raw := bytes(entry)):
                yield (f"entry {number}" if table is tables.log_entry else "a pending entry"), raw


def _trouble(proof: Any, actor: str, people: Mapping[str, Officer]) -> str | None:
    names = ("person", "statement", "signature")
    if not isinstance(proof, dict) or not all(isinstance(proof.get(each), str) for each in names):
        return "its proof of who acted has another form"
    person = people.get(proof["person"])
    if person is None:
        return f"it names {proof['person']}, whom the registry does not have"
    if signed(Statement(proof["statement"], proof["signature"]), person) is None:
        return f"{person.id} did not sign its statement"
    if not actor.partition(": ")[0].endswith(f"/{person.id}"):
        return f"it names {actor}, and {person.id} signed"
    return None
