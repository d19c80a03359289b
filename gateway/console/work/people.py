"""What an account may be given, and by whom.

Invariant: an account is of an agency of the registry.
Invariant: nobody changes his own roles or state.
Invariant: the role officer is given only to who is an officer of the registry, which two officers signed.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from gateway.audit.search.known import MOST, meaning, names, nearest, titled
from gateway.console.accounts.records import Account, Viewer
from gateway.console.errors import ACCOUNT_NOT_OFFICER, ACCOUNT_OWN, CONSOLE_AMBIGUOUS_NAME, CONSOLE_UNKNOWN_NAME
from gateway.console.roles import Role
from gateway.registry.changes.officers import officers


def officer_ids(connection: Connection) -> frozenset[str]:
    """The officers of the registry who may sign."""
    return frozenset(each.id for each in officers(connection).values() if each.state == "active")


def check_other(viewer: Viewer, id: str) -> None:
    """Raises `account.own`."""
    if viewer.account.id == id:
        raise ACCOUNT_OWN(id=id)


def wanted(connection: Connection, id: str, agency: str, name: str, roles: tuple[Role, ...]) -> Account:
    """A new account; `agency` is its code or its name. Raises `console.unknown-name`, `console.ambiguous-name`,
    `account.not-officer`."""
    check_roles(connection, id, roles)
    return Account(id, agency_of(connection, agency), name, roles, True)


def check_roles(connection: Connection, id: str, roles: Collection[Role], before: Collection[Role] = ()) -> None:
    """`before`: the roles that the account has. Raises `account.not-officer`."""
    if Role.OFFICER in roles and Role.OFFICER not in before and id not in officer_ids(connection):
        raise ACCOUNT_NOT_OFFICER(id=id)


def agency_of(connection: Connection, text: str) -> str:
    """The code of an agency of the registry, by its code or its name, without marks too. Raises `console.unknown-name`,
    `console.ambiguous-name`.
    """
    known = names(connection, "agency")
    meant = meaning(known, text)
    if len(meant) == 1:
        return meant[0]
    if meant:
        near = ", ".join(titled(each, known) for each in meant[:MOST])
        raise CONSOLE_AMBIGUOUS_NAME(field="agency", name=text, near=near)
    raise CONSOLE_UNKNOWN_NAME(field="agency", name=text, near=", ".join(nearest("agency", text, known).near) or "–")
