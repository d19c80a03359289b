"""Stores the officers, who approve grants.

The first document of an instance brings the first ones (the key ceremony of docs/access.md). Later ones need the
signatures of two officers in office; leaving needs none.
Invariant: an id keeps its key for ever; a new key, or a return, is a new officer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, cast

from sqlalchemy import Connection, func, insert, select, update

from contracts.base.words import Words
from gateway.journal.schema import tables
from gateway.registry.errors import OFFICER_KEY_TAKEN, OFFICER_OTHER_KEY
from gateway.registry.records import Change
from security.grants.approvals import Officer, OfficerState, load_public

_LEFT: Final = ("retired", "revoked")


def officers(connection: Connection) -> dict[str, Officer]:
    table = tables.officer.c
    return {
        row.id: Officer(
            id=row.id,
            agency=row.agency,
            name=Words(row.name_vi, row.name_en),
            public_pem=row.public_key,
            state=cast(OfficerState, row.state),
            since=row.since,
            public=load_public(row.public_key),
        )
        for row in connection.execute(select(*table).order_by(table.id))
    }


def apply_officers(connection: Connection, wanted: Iterable[Officer] | None, now: float) -> list[Change]:
    """Change the officers to those that a document lists (None: not mentioned). One no longer listed retires."""
    if wanted is None:
        return []
    table = tables.officer
    first = connection.scalar(select(func.count()).select_from(table)) == 0
    known = officers(connection)
    changes: list[Change] = []
    for officer in wanted:
        before = known.pop(officer.id, None)
        if before is None:
            if any(each.thumbprint == officer.thumbprint for each in (*known.values(), *officers(connection).values())):
                raise OFFICER_KEY_TAKEN(id=officer.id)
            state = officer.state if first or officer.state in _LEFT else "proposed"
            connection.execute(insert(table).values(_row(officer, state, now)))
            changes.append(
                Change("officer", officer.id, "added" if state == "active" else "proposed", (officer.thumbprint,))
            )
            continue
        if before.thumbprint != officer.thumbprint:
            raise OFFICER_OTHER_KEY(id=officer.id)
        columns = {"agency": officer.agency, "name_vi": officer.name.vi, "name_en": officer.name.en}
        differing = tuple(name for name, value in columns.items() if value != _row(before, before.state, 0.0)[name])
        if differing:
            connection.execute(
                update(table).where(table.c.id == officer.id).values({name: columns[name] for name in differing})
            )
            changes.append(Change("officer", officer.id, "changed", differing))
        changes += _settle(connection, before, officer.state, now)
    for before in known.values():
        changes += _settle(connection, before, "retired", now)
    return changes


def _settle(connection: Connection, before: Officer, wanted: OfficerState, now: float) -> list[Change]:
    """Retire or revoke an officer, at once and for good."""
    if wanted not in _LEFT or wanted == before.state or before.state == "revoked":
        return []
    left: Literal["retired", "revoked"] = "retired" if wanted == "retired" else "revoked"
    set_officer(connection, before.id, left, now)
    return [Change("officer", before.id, left, ("state",))]


def set_officer(connection: Connection, id: str, state: OfficerState, now: float) -> None:
    connection.execute(update(tables.officer).where(tables.officer.c.id == id).values(state=state, since=now))


def _row(officer: Officer, state: OfficerState, now: float) -> dict[str, object]:
    return {
        "id": officer.id,
        "agency": officer.agency,
        "name_vi": officer.name.vi,
        "name_en": officer.name.en,
        "public_key": officer.public_pem,
        "thumbprint": officer.thumbprint,
        "state": state,
        "since": now,
    }
