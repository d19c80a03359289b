"""The accounts of the console: who may sign in, with which roles."""

from __future__ import annotations

from gateway.console.accounts import store
from gateway.console.roles import May, Role
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.console.work import people as work

_HERE = "/console/people"
_PERSON = "a token never becomes a person"


def people(ask: Ask) -> Shown:
    with ask.desk.accounts() as rows:
        accounts = store.listed(rows)
    return Shown("people.html", {"accounts": accounts, "roles": list(Role), "link": None, "names": _names(ask)})


def _names(ask: Ask) -> dict[str, str]:
    """Of agencies, by their codes."""
    agencies = ask.desk.services.registry.snapshot.agencies
    return {code: each.name.of(ask.language) for code, each in agencies.items()}


def add(ask: Ask) -> Shown:
    """Adds an account, and shows the link by which its person signs in the first time."""
    roles = store.roles_of(ask.form.get("roles", "").split())
    agency, id, name, reason = ask.field("agency", 200), ask.field("id", 63), ask.field("name"), ask.reason()
    with ask.desk.changing(ask.viewer) as change:
        account = work.wanted(change.connection, id, agency, name, roles)
        store.add(change, account, reason=reason)
        token = work.link(change, account)
        accounts = store.listed(change)
        waits = store.asked_link(change, account.id) is not None
    values = {"accounts": accounts, "roles": list(Role), "link": (account.id, token), "origin": ask.origin}
    values["waits"] = waits
    values["names"] = _names(ask)
    return Shown("people.html", values)


def person(ask: Ask) -> Shown:
    return _person(ask)


def _person(ask: Ask, *, token: str = "", code: str = "") -> Shown:
    with ask.desk.accounts() as rows:
        account = store.find(rows, ask.path["id"])
        asked_by = work.asked_by(rows, account.id)
    with ask.desk.reading() as connection:
        registered = account.id in work.officer_ids(connection)
    values = {"account": account, "roles": list(Role), "token": token, "registered": registered}
    values |= {"code": code, "asked_by": asked_by, "mine": asked_by == ask.viewer.account.id}
    values |= {"origin": ask.origin, "names": _names(ask)}
    return Shown("person.html", {**values, "own": account.id == ask.viewer.account.id})


def link(ask: Ask) -> Shown:
    with ask.desk.changing(ask.viewer) as change:
        token = work.link(change, store.find(change, ask.path["id"]))
    return _person(ask, token=token)


def confirm(ask: Ask) -> Shown:
    with ask.desk.changing(ask.viewer) as change:
        code = work.confirm_link(change, ask.viewer, ask.path["id"])
    return _person(ask, code=code)


def roles(ask: Ask) -> Moved:
    id, wanted = ask.path["id"], store.roles_of(ask.form.get("roles", "").split())
    reason = ask.reason() if ask.form.get("reason") else ""
    work.check_other(ask.viewer, id)
    with ask.desk.changing(ask.viewer) as change:
        work.check_roles(change.connection, id, wanted, store.find(change, id).roles)
        store.set_roles(change, id, wanted, reason=reason)
    return Moved(f"{_HERE}/{id}", "roles-set")


def state(ask: Ask) -> Moved:
    """Whoever closes an account says why."""
    id, active = ask.path["id"], ask.form.get("state") == "active"
    reason = ask.reason() if not active else ""
    work.check_other(ask.viewer, id)
    with ask.desk.changing(ask.viewer) as change:
        store.set_active(change, id, active, reason=reason)
    return Moved(f"{_HERE}/{id}", "account-enabled" if active else "account-disabled")


PAGES = (
    Page("/people", people, May.ACCOUNTS, N_("People"), Menu.OPERATION),
    Page("/people", add, May.ACCOUNTS, method="POST", page_only=_PERSON),
    Page("/people/{id}", person, May.ACCOUNTS, N_("A person")),
    Page("/people/{id}/link", link, May.ACCOUNTS, method="POST", page_only=_PERSON),
    Page("/people/{id}/link/confirm", confirm, May.ACCOUNTS, method="POST", page_only=_PERSON),
    Page("/people/{id}/roles", roles, May.ACCOUNTS, method="POST", operation="setAccountRoles"),
    Page("/people/{id}/state", state, May.ACCOUNTS, method="POST", operation="setAccountState"),
)
