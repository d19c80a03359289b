"""Signs people in: by a password with a code, by a passkey, or by a link that works once.

Each attempt, failed or not, is an entry of the log. A failed one never says which part was wrong.
Invariant: a code counts once (RFC 6238, 5.2), a link signs in once.
Invariant: after five failures an account is locked, each time twice as long, for an hour at most.
"""

from __future__ import annotations

import math
from typing import Any, Final

from sqlalchemy import Connection, delete, select, update

from contracts.base.errors import Failure
from gateway.console.accounts import passkeys, secrets, sessions, store
from gateway.console.accounts.passkeys import Site
from gateway.console.accounts.records import How
from gateway.console.errors import ACCOUNT_LOCKED, LOGIN_FAILED, LOGIN_LINK
from gateway.journal.schema import tables

SIGNED_IN: Final = "console-sign-in"
SIGNED_OUT: Final = "console-sign-out"
FREE: Final = 5
_FIRST: Final = 30.0
_MOST: Final = 3600.0
_account, _link = tables.console_account, tables.console_link
Attempt = str | Failure  # the cookie's value, or why not; the transaction commits in both cases


def by_password(
    connection: Connection, sealer: secrets.Sealer, given: tuple[str, str, str], source: str, now: float
) -> Attempt:
    """`given` are name, password and code."""
    name, password, code = given
    row = store.row_of(connection, name)
    if row is not None and row.locked is not None and now < row.locked:
        return _failed(connection, name, source, now, ACCOUNT_LOCKED(seconds=math.ceil(row.locked - now)))
    fits = secrets.password_fits(None if row is None else row.password, password)
    if row is None or row.state != "active":
        return _failed(connection, name, source, now, LOGIN_FAILED())
    secret = None if row.totp is None else sealer.open(name, row.totp)
    step = None if secret is None else secrets.step_of(secret, code, now)
    if not fits or step is None or (row.step is not None and step <= row.step):
        _count(connection, row, now)
        return _failed(connection, name, source, now, LOGIN_FAILED())
    connection.execute(update(_account).where(_account.c.id == name).values(step=step))
    return succeed(connection, name, "totp", source, now)


def by_passkey(connection: Connection, site: Site, response: str, source: str, now: float) -> Attempt:
    """The passkey says whose it is."""
    try:
        passkey = passkeys.owner(connection, response)
    except Failure:
        passkey = None
    row = None if passkey is None else store.row_of(connection, passkey.account)
    if row is None or row.state != "active":
        return _failed(connection, "" if row is None else row.id, source, now, LOGIN_FAILED())
    if row.locked is not None and now < row.locked:
        return _failed(connection, row.id, source, now, ACCOUNT_LOCKED(seconds=math.ceil(row.locked - now)))
    try:
        passkeys.prove(connection, site, passkey, response, now)
    except Failure:
        _count(connection, row, now)
        return _failed(connection, row.id, source, now, LOGIN_FAILED())
    return succeed(connection, row.id, "passkey", source, now)


def by_link(connection: Connection, token: str, source: str, now: float) -> Attempt:
    mark = secrets.digest(token)
    row = connection.execute(
        select(_link.c.account, _link.c.expires, _account.c.state)
        .join_from(_link, _account, _account.c.id == _link.c.account)
        .where(_link.c.digest == mark)
    ).first()
    used = connection.execute(delete(_link).where(_link.c.digest == mark)).rowcount
    if row is None or used != 1 or row.state != "active" or now >= row.expires:
        return _failed(connection, "" if row is None else row.account, source, now, LOGIN_LINK())
    return succeed(connection, row.account, "link", source, now)


def succeed(connection: Connection, account: str, how: How, source: str, now: float) -> str:
    """Open a session for somebody who was proved."""
    connection.execute(update(_account).where(_account.c.id == account).values(failed=0, locked=None))
    token = sessions.open_session(connection, account, how, source, now)
    viewer = sessions.viewer_of(connection, token, now)
    assert viewer is not None
    store.note(connection, SIGNED_IN, {"account": account, "how": how, "source": source}, now, viewer[0].actor)
    return token


def _count(connection: Connection, row: Any, now: float) -> None:
    """One failure more, and the lock that follows from it."""
    failed = row.failed + 1
    locked = None if failed < FREE else now + min(_MOST, _FIRST * 2.0 ** min(failed - FREE, 10))
    connection.execute(update(_account).where(_account.c.id == row.id).values(failed=failed, locked=locked))


def _failed(connection: Connection, name: str, source: str, now: float, failure: Failure) -> Failure:
    facts = {"account": name[:63], "failure": failure.code, "source": source}
    store.note(connection, SIGNED_IN, facts, now, "console")
    return failure
