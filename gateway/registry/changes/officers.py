"""Stores the officers, who approve grants, and the persons, who operate or audit the instance.

The first document of an instance brings the first ones (the key ceremony of docs/access.md). Later ones need the
signatures of two officers in office; leaving needs none.
Persons are admitted and leave in the same way; the first ones come with the first document too.
Invariant: an id keeps its key and its role for ever; a new key, or a return, is a new officer or person.
Invariant: officers and persons share no id and no key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple, cast

from sqlalchemy import Connection, Table, func, insert, select, update

from contracts.base.words import Words
from gateway.journal.schema import tables
from gateway.registry.errors import OFFICER_KEY_TAKEN, OFFICER_OTHER_KEY
from gateway.registry.records import Change
from security.grants.approvals import Officer, OfficerState, Role, load_public

_LEFT: Final = ("retired", "revoked")


class Roll(NamedTuple):
    """A list of those with keys: the officers, or the persons."""

    what: Literal["officer", "person"]
    table: Table


OFFICERS: Final = Roll("officer", tables.officer)
PERSONS: Final = Roll("person", tables.person)
ROLLS: Final = (OFFICERS, PERSONS)


def listed(connection: Connection, roll: Roll) -> dict[str, Officer]:
    return {
        row.id: Officer(
            id=row.id,
            agency=row.agency,
            name=Words(row.name_vi, row.name_en),
            public_pem=row.public_key,
            state=cast(OfficerState, row.state),
            since=row.since,
            public=load_public(row.public_key),
            role=cast(Role, row.role) if roll is PERSONS else "officer",
        )
        for row in connection.execute(select(*roll.table.c).order_by(roll.table.c.id))
    }


def officers(connection: Connection) -> dict[str, Officer]:
    return listed(connection, OFFICERS)


def persons(connection: Connection) -> dict[str, Officer]:
    return listed(connection, PERSONS)


def acting(connection: Connection) -> dict[str, Officer]:
    """All who may act at the command line: persons and officers, in any state."""
    return {**officers(connection), **persons(connection)}


def is_empty(connection: Connection, *rolls: Roll) -> bool:
    """Whether nobody was ever registered in these lists: an instance that is being founded."""
    return not any(connection.scalar(select(func.count()).select_from(roll.table)) for roll in rolls)


def apply_officers(
    connection: Connection, wanted: Iterable[Officer] | None, persons: Iterable[Officer] | None, now: float
) -> list[Change]:
    """Change officers and persons to those that a document lists (None: not mentioned). One no longer listed retires.

    First persons are admitted only where there are no officers yet: later, officers have to sign them.
    """
    founded = not is_empty(connection, *ROLLS)
    changes = _apply(connection, OFFICERS, wanted, now, first=is_empty(connection, OFFICERS))
    return changes + _apply(connection, PERSONS, persons, now, first=not founded)


def _apply(
    connection: Connection, roll: Roll, wanted: Iterable[Officer] | None, now: float, *, first: bool
) -> list[Change]:
    if wanted is None:
        return []
    table, what = roll.table, roll.what
    known = listed(connection, roll)
    changes: list[Change] = []
    for officer in wanted:
        before = known.pop(officer.id, None)
        if before is None:
            everyone = acting(connection)
            taken = officer.id in everyone or any(each.thumbprint == officer.thumbprint for each in everyone.values())
            if taken:
                raise OFFICER_KEY_TAKEN(id=officer.id)
            state = officer.state if first or officer.state in _LEFT else "proposed"
            connection.execute(insert(table).values(_row(officer, state, now)))
            changes.append(
                Change(what, officer.id, "added" if state == "active" else "proposed", (officer.thumbprint,))
            )
            continue
        if (before.thumbprint, before.role) != (officer.thumbprint, officer.role):
            raise OFFICER_OTHER_KEY(id=officer.id)
        columns = {"agency": officer.agency, "name_vi": officer.name.vi, "name_en": officer.name.en}
        differing = tuple(name for name, value in columns.items() if value != _row(before, before.state, 0.0)[name])
        if differing:
            connection.execute(
                update(table).where(table.c.id == officer.id).values({name: columns[name] for name in differing})
            )
            changes.append(Change(what, officer.id, "changed", differing))
        changes += _settle(connection, roll, before, officer.state, now)
    for before in known.values():
        changes += _settle(connection, roll, before, "retired", now)
    return changes


def _settle(connection: Connection, roll: Roll, before: Officer, wanted: OfficerState, now: float) -> list[Change]:
    """Retire or revoke somebody, at once and for good."""
    if wanted not in _LEFT or wanted == before.state or before.state == "revoked":
        return []
    left: Literal["retired", "revoked"] = "retired" if wanted == "retired" else "revoked"
    set_officer(connection, before.id, left, now, roll)
    return [Change(roll.what, before.id, left, ("state",))]


def set_officer(connection: Connection, id: str, state: OfficerState, now: float, roll: Roll = OFFICERS) -> None:
    connection.execute(update(roll.table).where(roll.table.c.id == id).values(state=state, since=now))


def _row(officer: Officer, state: OfficerState, now: float) -> dict[str, Any]:
    role = {} if officer.role == "officer" else {"role": officer.role}
    return {
        **role,
        "id": officer.id,
        "agency": officer.agency,
        "name_vi": officer.name.vi,
        "name_en": officer.name.en,
        "public_key": officer.public_pem,
        "thumbprint": officer.thumbprint,
        "state": state,
        "since": now,
    }
