"""The accounts of the console: who may sign in, with which roles."""

from __future__ import annotations

from gateway.console.accounts import store
from gateway.console.accounts.records import Account
from gateway.console.roles import May, Role
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown

_HERE = "/console/people"


def people(ask: Ask) -> Shown:
    with ask.desk.accounts() as rows:
        accounts = store.listed(rows)
    return Shown("people.html", {"accounts": accounts, "roles": list(Role), "link": None})


def add(ask: Ask) -> Shown:
    """Adds an account, and shows the link by which its person signs in the first time."""
    roles = store.roles_of(ask.form.get("roles", "").split())
    account = Account(ask.field("id", 63), ask.field("agency", 60), ask.field("name"), roles, True)
    with ask.desk.changing(ask.viewer) as change:
        store.add(change, account)
        token = store.make_link(change, account.id)
        accounts = store.listed(change)
    return Shown("people.html", {"accounts": accounts, "roles": list(Role), "link": (account.id, token)})


def link(ask: Ask) -> Shown:
    id = ask.path["id"]
    with ask.desk.changing(ask.viewer) as change:
        token = store.make_link(change, id)
        accounts = store.listed(change)
    return Shown("people.html", {"accounts": accounts, "roles": list(Role), "link": (id, token)})


def roles(ask: Ask) -> Moved:
    with ask.desk.changing(ask.viewer) as change:
        wanted = store.roles_of(ask.form.get("roles", "").split())
        store.set_roles(change, ask.path["id"], wanted)
    return Moved(_HERE, "roles-set")


def state(ask: Ask) -> Moved:
    with ask.desk.changing(ask.viewer) as change:
        active = ask.form.get("state") == "active"
        store.set_active(change, ask.path["id"], active)
    return Moved(_HERE, "account-enabled" if active else "account-disabled")


PAGES = (
    Page("/people", people, May.ACCOUNTS, N_("People"), Menu.OPERATION),
    Page("/people", add, May.ACCOUNTS, method="POST", operation="addAccount"),
    Page("/people/{id}/link", link, May.ACCOUNTS, method="POST", operation="makeAccountLink"),
    Page("/people/{id}/roles", roles, May.ACCOUNTS, method="POST", operation="setAccountRoles"),
    Page("/people/{id}/state", state, May.ACCOUNTS, method="POST", operation="setAccountState"),
)
