"""Accounts in the database.

Invariant: each change of an account is an entry of the log in the same transaction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from gateway.console.accounts import secrets
from gateway.console.accounts.records import Account
from gateway.console.errors import ACCOUNT_ROLE_UNKNOWN, ACCOUNT_TAKEN, ACCOUNT_UNKNOWN, CONSOLE_FORM
from gateway.console.roles import Role
from gateway.journal.append import append
from gateway.journal.schema import tables
from gateway.transfer import entries

ACCOUNT: Final = "console-account"  # the note of a change
LINK_SECONDS: Final = 900.0
_ID: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_table: Final = tables.console_account


def note(connection: Connection, what: str, facts: Mapping[str, Any], now: float, actor: str) -> None:
    append(connection, [entries.note(what, facts, now, actor=actor)])


def may_be_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def roles_of(names: Iterable[str]) -> tuple[Role, ...]:
    """Raises `account.role-unknown`."""
    known = [each.value for each in Role]
    for name in (names := list(names)):
        if name not in known:
            raise ACCOUNT_ROLE_UNKNOWN(role=name, known=", ".join(known))
    return tuple(Role(each) for each in sorted(set(names)))


def listed(connection: Connection) -> list[Account]:
    return [Account.of(row) for row in connection.execute(select(*_table.c).order_by(_table.c.id))]


def row_of(connection: Connection, id: str) -> Any:
    """The whole row; None if there is no such account."""
    return connection.execute(select(*_table.c).where(_table.c.id == id)).first()


def find(connection: Connection, id: str) -> Account:
    """Raises `account.unknown`."""
    row = row_of(connection, id)
    if row is None:
        raise ACCOUNT_UNKNOWN(id=id)
    return Account.of(row)


def add(connection: Connection, account: Account, now: float, actor: str) -> None:
    """Raises `account.taken`, `console.form`."""
    if not may_be_id(account.id):
        raise CONSOLE_FORM(field="id", why="a-z, 0-9, dot, hyphen; 63 characters at most")
    if row_of(connection, account.id) is not None:
        raise ACCOUNT_TAKEN(id=account.id)
    connection.execute(
        insert(_table).values(
            id=account.id,
            agency=account.agency,
            name=account.name,
            roles=json.dumps(account.roles),
            state="active",
            failed=0,
            created=now,
            changed=now,
        )
    )
    facts = {"account": account.id, "how": "added", "agency": account.agency, "roles": list(account.roles)}
    note(connection, ACCOUNT, facts, now, actor)


def set_roles(
    connection: Connection, id: str, roles: tuple[Role, ...], now: float, actor: str, *, reason: str = ""
) -> None:
    before = find(connection, id)
    _change(connection, id, {"roles": json.dumps(roles)}, now)
    end_sessions(connection, id)
    changed = {"old": list(before.roles), "new": list(roles)}
    note(connection, ACCOUNT, {"account": id, "how": "roles", "changed": changed, **_why(reason)}, now, actor)


def set_active(connection: Connection, id: str, active: bool, now: float, actor: str, *, reason: str = "") -> None:
    find(connection, id)
    _change(connection, id, {"state": "active" if active else "disabled", "failed": 0, "locked": None}, now)
    end_sessions(connection, id)
    note(connection, ACCOUNT, {"account": id, "how": "enabled" if active else "disabled", **_why(reason)}, now, actor)


def _why(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def set_factors(connection: Connection, id: str, hashed: str, sealed: bytes, now: float, actor: str) -> None:
    """A password and the secret of its codes."""
    _change(connection, id, {"password": hashed, "totp": sealed, "step": None, "failed": 0, "locked": None}, now)
    note(connection, ACCOUNT, {"account": id, "how": "password-and-codes"}, now, actor)


def make_link(connection: Connection, id: str, now: float, actor: str) -> str:
    """The token of an address that signs in once, within fifteen minutes."""
    find(connection, id)
    token, link = secrets.new_token(), tables.console_link
    connection.execute(delete(link).where(link.c.expires < now))
    connection.execute(
        insert(link).values(digest=secrets.digest(token), account=id, made_by=actor, expires=now + LINK_SECONDS)
    )
    note(connection, ACCOUNT, {"account": id, "how": "link-made"}, now, actor)
    return token


def end_sessions(connection: Connection, id: str) -> None:
    """All of an account, with its links and tokens."""
    for table in (tables.console_session, tables.console_link, tables.console_token):
        connection.execute(delete(table).where(table.c.account == id))


def _change(connection: Connection, id: str, values: Mapping[str, Any], now: float) -> None:
    connection.execute(update(_table).where(_table.c.id == id).values(**values, changed=now))
