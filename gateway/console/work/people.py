"""What an account may be given, and by whom.

Invariant: an account is of an agency of the registry.
Invariant: an account with the id of an officer of the registry is that person's, so it is of his agency.
Invariant: nobody changes his own roles or state.
Invariant: the role officer is given only to who is an officer of the registry, which two officers signed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection

from contracts.base.visible import visible
from gateway.audit.search.known import MOST, meaning, names, nearest, titled
from gateway.console.accounts import hands, store
from gateway.console.accounts.records import Account, Viewer, account_in
from gateway.console.errors import (
    ACCOUNT_NOT_OFFICER,
    ACCOUNT_OTHER_AGENCY,
    ACCOUNT_OWN,
    CONSOLE_AMBIGUOUS_NAME,
    CONSOLE_FORM,
    CONSOLE_UNKNOWN_NAME,
    LOGIN_LINK,
)
from gateway.console.roles import Role
from gateway.registry.changes.officers import officers
from gateway.registry.seals.account_rows import Change, SealedRows

MOST_NAME: Final = 200


def officer_ids(connection: Connection) -> frozenset[str]:
    """The officers of the registry who may sign."""
    return frozenset(each.id for each in officers(connection).values() if each.state == "active")


def check_other(viewer: Viewer, id: str) -> None:
    """Raises `account.own`."""
    if viewer.account.id == id:
        raise ACCOUNT_OWN(id=id)


def link(change: Change, account: Account) -> str:
    """The token of a link that a person at the pages makes: of a role that decides as one of two, with a second person
    (`confirm_link`)."""
    make = store.ask_link if store.SECONDED & set(account.roles) else store.make_link
    return make(change, account.id)


def asked_by(rows: SealedRows, id: str) -> str | None:
    """Who asked for the link of this account that waits for a second person; None if there is none."""
    row = store.asked_link(rows, id)
    return None if row is None else account_in(row.made_by)


def confirm_link(change: Change, viewer: Viewer, id: str) -> str:
    """The code that belongs to the link. Whoever has only one of both signs nobody in. Raises `login.link`,
    `account.own`, `account.one-hand`."""
    check_other(viewer, id)
    row = store.asked_link(change, id)
    if row is None:
        raise LOGIN_LINK()
    hands.check_two(change.connection, account_in(row.made_by), viewer.account.id)
    return store.confirm_link(change, id, row)


def wanted(connection: Connection, id: str, agency: str, name: str, roles: tuple[Role, ...]) -> Account:
    """A new account; `agency` is its code or its name. Raises `console.unknown-name`, `console.ambiguous-name`,
    `account.not-officer`, `account.other-agency`, `console.form`."""
    check_roles(connection, id, roles)
    code = agency_of(connection, agency)
    officer = officers(connection).get(id)
    if officer is not None and officer.agency != code:
        raise ACCOUNT_OTHER_AGENCY(id=id, known=officer.agency, agency=code)
    return Account(id, code, checked_name(name), roles, True)


def checked_name(name: str) -> str:
    """A person's name, which pages, terminals and the log show. Raises `console.form`."""
    if not (name := name.strip()) or len(name) > MOST_NAME or visible(name) != name:
        raise CONSOLE_FORM(field="name", why=f"1 – {MOST_NAME} characters, all of them visible")
    return name


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
