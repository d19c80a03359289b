"""What an account may be given, and by whom.

Invariant: an account is of an agency of the registry.
Invariant: nobody changes his own roles or state.
Invariant: the role officer is given only to who is an officer of the registry, which two officers signed.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from contracts.wire.problems import LANGUAGES
from gateway.console.accounts.records import Viewer
from gateway.console.errors import ACCOUNT_NOT_OFFICER, ACCOUNT_OWN, CONSOLE_UNKNOWN_NAME
from gateway.console.roles import Role
from gateway.console.site.desk import Desk
from gateway.registry.changes.officers import officers


def officer_ids(desk: Desk) -> frozenset[str]:
    """The officers of the registry who may sign."""
    with desk.reading() as connection:
        return frozenset(each.id for each in officers(connection).values() if each.state == "active")


def check_other(viewer: Viewer, id: str) -> None:
    """Raises `account.own`."""
    if viewer.account.id == id:
        raise ACCOUNT_OWN(id=id)


def check_roles(desk: Desk, id: str, roles: Collection[Role], before: Collection[Role] = ()) -> None:
    """`before`: the roles that the account has. Raises `account.not-officer`."""
    if Role.OFFICER in roles and Role.OFFICER not in before and id not in officer_ids(desk):
        raise ACCOUNT_NOT_OFFICER(id=id)


def agency_of(desk: Desk, text: str) -> str:
    """The code of an agency of the registry, by its code or its name. Raises `console.unknown-name`."""
    agencies = desk.services.registry.snapshot.agencies
    if text in agencies:
        return text
    names = {each.name.of(language).casefold(): code for code, each in agencies.items() for language in LANGUAGES}
    if (code := names.get(text.casefold())) is not None:
        return code
    near = get_close_matches(text.casefold(), names, 1, 0.6) or get_close_matches(text, agencies, 1, 0.0)
    raise CONSOLE_UNKNOWN_NAME(field="agency", name=text, near=names.get(near[0], near[0]) if near else "–")
