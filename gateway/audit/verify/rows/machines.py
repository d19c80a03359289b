"""Compares the rows of an instance's machines with the notes of the log: who was invited, joined, drained, removed.

A machine that was added, removed or changed without a note is named. What a machine tells of itself each few seconds
(when it was seen, its version, its clock, its keys' generation) is in no note, and not compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.audit.verify.findings import Findings
from gateway.journal.noted import Noted, read_notes
from gateway.journal.schema import tables

_NOTE: Final = "machine"
_BACK: Final = "schema-back"  # to a release without the table: what was in it is gone, and the note says so
_STATES: Final[Mapping[str, frozenset[str]]] = {
    "invite": frozenset({"invited"}),
    "register": frozenset({"active"}),
    "join": frozenset({"joining", "active"}),  # it works as soon as it starts with the keys
    "drain": frozenset({"draining"}),
    "end-drain": frozenset({"active"}),
    "remove": frozenset({"removed"}),
}


@dataclass(frozen=True, slots=True)
class _Stated:
    """What the notes say of one machine. `key`: hex SHA-256 of its public key in PEM; `note` names the newest note."""

    states: frozenset[str]
    note: str
    actor: str
    thumbprint: str = ""
    until: str | None = None
    key: str | None = None
    reason: str | None = None


def check_machines(connection: Connection, wrong: Findings) -> None:
    stated = _stated(connection)
    table = tables.machine
    rows = {str(row.name): row for row in connection.execute(select(table).order_by(table.c.name))}
    wrong.count("machines", len(rows))
    for name in sorted(rows.keys() | stated.keys()):
        for text in _differs(rows.get(name), stated.get(name)):
            wrong.add(f"the machine {name}: {text}")


def _stated(connection: Connection) -> Mapping[str, _Stated]:
    found: dict[str, _Stated] = {}
    for note in read_notes(connection, (_NOTE, _BACK)):
        if note.what == _BACK:
            lost = note.facts.get("lost")
            if isinstance(lost, dict) and tables.machine.name in lost:
                found.clear()
            continue
        name = str(note.facts.get("machine"))
        found[name] = _after(found.get(name), note)
    return found


def _after(before: _Stated | None, note: Noted) -> _Stated:
    facts, act = note.facts, str(note.facts.get("act"))
    if act in ("invite", "register"):
        return _Stated(
            _STATES[act],
            note.name,
            note.actor,
            thumbprint=str(facts.get("thumbprint", "")),
            until=facts.get("until"),
            key=facts.get("key"),
        )
    known = before or _Stated(frozenset(), note.name, note.actor)
    if act == "key":
        return replace(known, note=note.name, key=facts.get("key"))
    if act == "join":
        return replace(known, states=_STATES[act], note=note.name, key=facts.get("key"))
    reason = facts.get("reason") if act in ("drain", "remove") else None
    return replace(known, states=_STATES.get(act, frozenset()), note=note.name, reason=reason)


def _differs(row: Any, stated: _Stated | None) -> Iterator[str]:
    if stated is None:
        yield "no note of the log tells of it"
        return
    if row is None:
        yield f"missing; by {stated.note} it is {' or '.join(sorted(stated.states))}"
        return
    if row.state not in stated.states:
        yield f"it is {row.state}, and by {stated.note} {' or '.join(sorted(stated.states))}"
    key = None if row.public_key is None else hashlib.sha256(str(row.public_key).encode()).hexdigest()
    for what, own, noted in (
        ("its invitation", row.thumbprint, stated.thumbprint),
        ("the end of its invitation", None if row.expires is None else rfc3339(row.expires), stated.until),
        ("its public key", key, stated.key),
        ("who added it", row.actor, stated.actor),
        ("the reason", row.reason, stated.reason),
    ):
        if own != noted:
            yield f"{what} is not that of the log"
