"""Operations on accounts: who may sign in, with which roles."""

from __future__ import annotations

from typing import Any

from gateway.console.accounts import store
from gateway.console.accounts.records import Account
from gateway.console.site.operation import Asked
from gateway.console.work import people


def _shown(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "agency": account.agency,
        "name": account.name,
        "roles": list(account.roles),
        "active": account.active,
    }


def list_accounts(asked: Asked) -> Any:
    with asked.desk.reading() as connection:
        return {"accounts": [_shown(each) for each in store.listed(connection)]}


def add_account(asked: Asked) -> Any:
    """The account, and the address by which its person signs in the first time."""
    body = asked.body
    account = Account(body["id"], body["agency"], body["name"], store.roles_of(body["roles"]), True)
    people.check_roles(asked.desk, account.id, account.roles)
    with asked.desk.writing() as connection:
        store.add(connection, account, asked.now, asked.viewer.actor)
        token = store.make_link(connection, account.id, asked.now, asked.viewer.actor)
    return {"account": _shown(account), "link": _address(asked, token)}


def set_roles(asked: Asked) -> Any:
    roles, id = store.roles_of(asked.body["roles"]), asked.params["account"]
    reason = asked.reason() if "reason" in asked.body else ""
    people.check_other(asked.viewer, id)
    with asked.desk.reading() as connection:
        before = store.find(connection, id).roles
    people.check_roles(asked.desk, id, roles, before)
    with asked.desk.writing() as connection:
        store.set_roles(connection, id, roles, asked.now, asked.viewer.actor, reason=reason)
        return {"account": _shown(store.find(connection, id))}


def set_state(asked: Asked) -> Any:
    """Whoever closes an account says why."""
    active, id = asked.body["state"] == "active", asked.params["account"]
    reason = asked.reason() if not active or "reason" in asked.body else ""
    people.check_other(asked.viewer, id)
    with asked.desk.writing() as connection:
        store.set_active(connection, id, active, asked.now, asked.viewer.actor, reason=reason)
        return {"account": _shown(store.find(connection, id))}


def make_link(asked: Asked) -> Any:
    with asked.desk.writing() as connection:
        token = store.make_link(connection, asked.params["account"], asked.now, asked.viewer.actor)
    return {"link": _address(asked, token)}


def _address(asked: Asked, token: str) -> str:
    return f"{asked.desk.services.settings.desk_named}/console/link/{token}"


OPERATIONS = {
    "listAccounts": list_accounts,
    "addAccount": add_account,
    "setAccountRoles": set_roles,
    "setAccountState": set_state,
    "makeAccountLink": make_link,
}
