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
    with asked.desk.accounts() as rows:
        return {"accounts": [_shown(each) for each in store.listed(rows)]}


def add_account(asked: Asked) -> Any:
    """The account, and the address by which its person signs in the first time."""
    body = asked.body
    roles = store.roles_of(body["roles"])
    reason = asked.reason() if "reason" in body else ""
    with asked.desk.changing(asked.viewer) as change:
        account = people.wanted(change.connection, body["id"], body["agency"], body["name"], roles)
        store.add(change, account, reason=reason)
        token = store.make_link(change, account.id)
    return {"account": _shown(account), "link": _address(asked, token)}


def set_roles(asked: Asked) -> Any:
    roles, id = store.roles_of(asked.body["roles"]), asked.params["account"]
    reason = asked.reason() if "reason" in asked.body else ""
    people.check_other(asked.viewer, id)
    with asked.desk.changing(asked.viewer) as change:
        people.check_roles(change.connection, id, roles, store.find(change, id).roles)
        store.set_roles(change, id, roles, reason=reason)
        return {"account": _shown(store.find(change, id))}


def set_state(asked: Asked) -> Any:
    """Whoever closes an account says why."""
    active, id = asked.body["state"] == "active", asked.params["account"]
    reason = asked.reason() if not active or "reason" in asked.body else ""
    people.check_other(asked.viewer, id)
    with asked.desk.changing(asked.viewer) as change:
        store.set_active(change, id, active, reason=reason)
        return {"account": _shown(store.find(change, id))}


def make_link(asked: Asked) -> Any:
    people.check_other(asked.viewer, asked.params["account"])  # a session by it would outlive a stolen token
    with asked.desk.changing(asked.viewer) as change:
        token = store.make_link(change, asked.params["account"])
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
