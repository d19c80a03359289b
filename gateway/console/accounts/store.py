"""Accounts in the database.

Invariant: each change of an account is an entry of the log in the same transaction.
Invariant: only rows count that the instance sealed (`gateway.registry.seals.account_rows`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from contracts.base import naming
from gateway.console.accounts import secrets
from gateway.console.accounts.records import Account
from gateway.console.errors import ACCOUNT_ROLE_UNKNOWN, ACCOUNT_TAKEN, ACCOUNT_UNKNOWN, CONSOLE_FORM
from gateway.console.roles import Role
from gateway.journal.append import append
from gateway.journal.schema import tables
from gateway.registry.seals.account_rows import Change, SealedRows
from gateway.transfer import entries

ACCOUNT: Final = "console-account"  # the note of a change
LINK_SECONDS: Final = 900.0
ASKED_SECONDS: Final = 86_400.0  # that a link waits for a second person
SECONDED: Final = frozenset({Role.OFFICER, Role.STEWARD})  # whose links need one: where two persons decide
_ASKED: Final = "asked "  # begins the key of a link that waits, which no token has
_ID: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_table: Final = tables.console_account
_link: Final = tables.console_link


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


def listed(rows: SealedRows) -> list[Account]:
    return sorted((Account.of(row) for row in rows.all(_table)), key=lambda each: each.id)


def row_of(rows: SealedRows, id: str) -> Any:
    """The whole row; None if there is no such account."""
    return rows.first(_table, _table.c.id == id)


def find(rows: SealedRows, id: str) -> Account:
    """Raises `account.unknown`."""
    return Account.of(_row(rows, id))


def _row(rows: SealedRows, id: str) -> Any:
    row = row_of(rows, id)
    if row is None:
        raise ACCOUNT_UNKNOWN(id=id)
    return row


def add(change: Change, account: Account, *, reason: str = "") -> None:
    """Raises `account.taken`, `console.form`."""
    if not may_be_id(account.id):
        raise CONSOLE_FORM(field="id", why="a-z, 0-9, dot, hyphen; 63 characters at most")
    if (odd := naming.objection(account.name)) is not None:
        raise CONSOLE_FORM(field="name", why=f"Latin letters with the marks of Vietnamese, digits and signs; not {odd}")
    if row_of(change, account.id) is not None:
        raise ACCOUNT_TAKEN(id=account.id)
    end_sessions(change, account.id)  # of an account of this name whose row is gone
    for id in change.keys(tables.console_passkey, account.id):
        change.remove(tables.console_passkey, account.id, id)
    values = {
        "id": account.id,
        "agency": account.agency,
        "name": account.name,
        "roles": json.dumps(account.roles),
        "state": "active",
        "failed": 0,
        "created": change.now,
        "changed": change.now,
    }
    change.add(_table, values)
    facts = {"account": account.id, "how": "added", "agency": account.agency, "roles": list(account.roles)}
    change.note(ACCOUNT, {**facts, **_why(reason)})


def set_roles(change: Change, id: str, roles: tuple[Role, ...], *, reason: str = "") -> None:
    """Who gets a role of `SECONDED` signs in by a new link: one person alone may have made the factors of before."""
    before = find(change, id)
    if not set(roles) <= set(before.roles):
        change.check_person()
    _change(change, id, {"roles": json.dumps(roles)})
    end_sessions(change, id)
    if SECONDED & set(roles) - set(before.roles):
        _end_factors(change, id)
    changed = {"old": list(before.roles), "new": list(roles)}
    change.note(ACCOUNT, {"account": id, "how": "roles", "changed": changed, **_why(reason)})


def set_active(change: Change, id: str, active: bool, *, reason: str = "") -> None:
    find(change, id)
    if active:
        change.check_person()
    _change(change, id, {"state": "active" if active else "disabled", "failed": 0, "locked": None})
    end_sessions(change, id)
    change.note(ACCOUNT, {"account": id, "how": "enabled" if active else "disabled", **_why(reason)})


def has_factors(rows: SealedRows, id: str) -> bool:
    mine = tables.console_passkey.c.account == id
    return _row(rows, id).password is not None or rows.first(tables.console_passkey, mine) is not None


def _end_factors(change: Change, id: str) -> None:
    if has_factors(change, id):
        _change(change, id, {"password": None, "totp": None, "step": None})
        for key in change.keys(tables.console_passkey, id):
            change.remove(tables.console_passkey, id, key)
        change.note(ACCOUNT, {"account": id, "how": "factors-ended"})


def _why(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def set_factors(change: Change, id: str, hashed: str, sealed: bytes, step: int | None = None) -> None:
    """A password and the secret of its codes. `step`: of the code that proved the secret, which does not sign in."""
    change.check_person()
    _change(change, id, {"password": hashed, "totp": sealed, "step": step, "failed": 0, "locked": None})
    change.note(ACCOUNT, {"account": id, "how": "password-and-codes"})


def make_link(change: Change, id: str) -> str:
    """The token of an address that signs in once, within fifteen minutes. Earlier links of the account end."""
    token = secrets.new_token()
    _add_link(change, id, link_mark(token), LINK_SECONDS)
    change.note(ACCOUNT, {"account": id, "how": "link-made"})
    return token


def ask_link(change: Change, id: str) -> str:
    """The token of an address that signs in once a second person confirmed it, with the code that he then gets."""
    token = secrets.new_token()
    _add_link(change, id, _ASKED + link_mark(token), ASKED_SECONDS)
    change.note(ACCOUNT, {"account": id, "how": "link-asked"})
    return token


def asked_link(rows: SealedRows, id: str) -> Any:
    """The row of the link of this account that waits for a second person; None if there is none."""
    found = (row for row in rows.all(_link, _link.c.account == id) if row.digest.startswith(_ASKED))
    return next(found, None)


def confirm_link(change: Change, id: str, asked: Any) -> str:
    """The code with which the address of this row signs in, within fifteen minutes."""
    code = secrets.new_code()
    _add_link(change, id, _with_code(asked.digest.removeprefix(_ASKED), code), LINK_SECONDS)
    change.note(ACCOUNT, {"account": id, "how": "link-confirmed"})
    return code


def link_mark(token: str, code: str = "") -> str:
    """The key of the row of a link."""
    mark = secrets.digest(token)
    return _with_code(mark, code) if code else mark


def _with_code(mark: str, code: str) -> str:
    return secrets.digest(f"{mark} {code.strip().upper()}")


def _add_link(change: Change, id: str, mark: str, lasting: float) -> None:
    find(change, id)
    change.expire(_link)
    end_links(change, id)
    change.add(_link, {"digest": mark, "account": id, "made_by": change.actor, "expires": change.now + lasting})


def end_links(change: Change, id: str) -> None:
    for key in change.keys(_link, id):
        change.remove(_link, id, key)


def end_sessions(change: Change, id: str, but: str = "") -> int:
    """All of an account, with its links and tokens; how many. `but` is the mark of a session that goes on."""
    ended = 0
    for table in (tables.console_session, _link, tables.console_token):
        for key in change.keys(table, id):
            if not but or table is not tables.console_session or not key.startswith(but):
                ended += change.remove(table, id, key)
    return ended


def _change(change: Change, id: str, values: Mapping[str, Any]) -> None:
    change.alter(_table, _row(change, id), {**values, "changed": change.now})
