"""Operations on accounts: who may sign in, with which roles."""

from __future__ import annotations

from typing import Any

from gateway.console.accounts import store
from gateway.console.accounts.records import Account
from gateway.console.site.operation import Asked


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
    with asked.desk.writing() as connection:
        store.add(connection, account, asked.now, asked.viewer.actor)
        token = store.make_link(connection, account.id, asked.now, asked.viewer.actor)
    return {"account": _shown(account), "link": _address(asked, token)}


def set_roles(asked: Asked) -> Any:
    roles = store.roles_of(asked.body["roles"])
    with asked.desk.writing() as connection:
        store.set_roles(connection, asked.params["account"], roles, asked.now, asked.viewer.actor)
        return {"account": _shown(store.find(connection, asked.params["account"]))}


def set_state(asked: Asked) -> Any:
    active = asked.body["state"] == "active"
    with asked.desk.writing() as connection:
        store.set_active(connection, asked.params["account"], active, asked.now, asked.viewer.actor)
        return {"account": _shown(store.find(connection, asked.params["account"]))}


def make_link(asked: Asked) -> Any:
    with asked.desk.writing() as connection:
        token = store.make_link(connection, asked.params["account"], asked.now, asked.viewer.actor)
    return {"link": _address(asked, token)}


def _address(asked: Asked, token: str) -> str:
    return f"{asked.desk.services.settings.desk}/console/link/{token}"


OPERATIONS = {
    "listAccounts": list_accounts,
    "addAccount": add_account,
    "setAccountRoles": set_roles,
    "setAccountState": set_state,
    "makeAccountLink": make_link,
}
