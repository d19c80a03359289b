"""Stores the officers, who approve grants, and the persons, who operate or audit the instance.

The first document of an instance brings the first ones (the key ceremony of docs/access.md). Later ones need the
signatures of two officers in office; leaving needs none.
Persons are admitted and leave in the same way; the first ones come with the first document too.
Invariant: an id keeps its key and its role for ever; a new key, or a return, is a new officer or person. An officer
  keeps his agency too, since its officers approve the workflows of its contracts.
Invariant: officers and persons share no id and no key.
Invariant: a passkey of an officer counts only with two signatures by keys of their own: the officer's, and another
  officer's. The rows do not say so; it is verified at each reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple, cast

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Table, func, insert, select, update

from contracts.base import jcs
from contracts.base.words import Words
from gateway.journal.schema import tables
from gateway.registry.errors import OFFICER_KEY_TAKEN, OFFICER_OTHER_KEY
from gateway.registry.records import Change
from security.grants.approvals import Approval, Officer, OfficerState, Role, counted, load_public, thumbprint
from security.grants.grants import OFFICERS as SIGNATURES
from security.grants.grants import digest
from security.grants.passkeys import Passkey

_LEFT: Final = ("retired", "revoked")
PASSKEY: Final = "passkey"


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
    """With their passkeys."""
    known = listed(connection, OFFICERS)
    by_officer: dict[str, list[Passkey]] = {}
    for each in _passkeys(connection, known):
        by_officer.setdefault(each.officer, []).append(each)
    return {id: replace(each, passkeys=tuple(by_officer.get(id, ()))) for id, each in known.items()}


def passkey_content(passkey: Passkey) -> bytes:
    """What officers sign to admit a passkey."""
    return jcs.encode(
        {
            "officer": passkey.officer,
            "passkey": passkey.thumbprint,
            "credential": passkey.credential,
            "origin": passkey.origin,
        }
    )


def _passkeys(connection: Connection, known: Mapping[str, Officer]) -> Iterator[Passkey]:
    table, approval = tables.officer_passkey.c, tables.approval.c
    rows = connection.execute(select(*table).order_by(table.officer, table.since, table.thumbprint)).all()
    if not rows:
        return
    signed: dict[tuple[str, str], list[Approval]] = {}
    query = select(*approval).where(approval.subject.like(f"{PASSKEY} %"), approval.voided.is_(None))
    for row in connection.execute(query):
        signed.setdefault((row.subject, row.digest), []).append(Approval(row.officer, row.signature, row.given))
    for row in rows:
        public = load_public(row.public_key)
        mark = thumbprint(public)
        if not isinstance(public, ec.EllipticCurvePublicKey) or any(mark == each.thumbprint for each in known.values()):
            continue
        read = Passkey(row.officer, row.credential, row.origin, mark, row.state, row.since, public)
        content = passkey_content(read)
        by = counted(content, None, signed.get((f"{PASSKEY} {row.thumbprint}", digest(content)), ()), known)
        admitted = len(by) >= SIGNATURES and row.officer in by and row.thumbprint == mark
        state: OfficerState = row.state if row.state in _LEFT else "active" if admitted else "proposed"
        yield replace(read, state="revoked" if state == "retired" and not admitted else state)


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
        moved = roll is OFFICERS and before.agency != officer.agency
        if moved or (before.thumbprint, before.role) != (officer.thumbprint, officer.role):
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
