"""Operations on accounts: who may sign in, with which roles.

A token takes roles away and closes accounts. Whatever lets somebody in is done by a person, at the pages.
"""

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


def set_roles(asked: Asked) -> Any:
    """Fewer roles; more are given at the pages."""
    roles, id = store.roles_of(asked.body["roles"]), asked.params["account"]
    reason = asked.reason() if "reason" in asked.body else ""
    people.check_other(asked.viewer, id)
    with asked.desk.changing(asked.viewer) as change:
        people.check_roles(change.connection, id, roles, store.find(change, id).roles)
        store.set_roles(change, id, roles, reason=reason)
        return {"account": _shown(store.find(change, id))}


def set_state(asked: Asked) -> Any:
    """Whoever closes an account says why; it is opened again at the pages."""
    active, id = asked.body["state"] == "active", asked.params["account"]
    reason = asked.reason() if not active or "reason" in asked.body else ""
    people.check_other(asked.viewer, id)
    with asked.desk.changing(asked.viewer) as change:
        store.set_active(change, id, active, reason=reason)
        return {"account": _shown(store.find(change, id))}


OPERATIONS = {
    "listAccounts": list_accounts,
    "setAccountRoles": set_roles,
    "setAccountState": set_state,
}
