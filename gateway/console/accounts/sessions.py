"""Sessions: a random cookie, of which the database has the digest.

Invariant: signing in always opens a new session, so nobody can fix one beforehand.
Invariant: a session ends after half an hour without a request, and after twelve hours in any case.
Invariant: whoever changes what he signs in by signed in a quarter of an hour ago at most, and his other sessions, links
  and tokens end.
Invariant: session, token and account count only as the instance sealed them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, update

from gateway.console.accounts import secrets, store
from gateway.console.accounts.records import Account, How, Viewer
from gateway.console.errors import ACCOUNT_NOT_FRESH
from gateway.journal.schema import tables
from gateway.registry.seals.account_rows import Change, SealedRows

IDLE: Final = 1800.0
LONGEST: Final = 43_200.0
FRESH: Final = 900.0  # seconds after a sign-in within which its person may change what he signs in by
TOUCH: Final = 60.0  # a session is not written more often
_table: Final = tables.console_session
_MARK: Final = 8


def mark_of(digest: str) -> str:
    """A short name of a session or a token, for pages and for the log."""
    return digest[:_MARK]


def open_session(change: Change, account: str, how: How, source: str) -> str:
    """The cookie's value."""
    token, now = secrets.new_token(), change.now
    change.expire(_table)
    values = {"account": account, "how": how, "source": source, "opened": now, "seen": now, "expires": now + LONGEST}
    change.add(_table, {"digest": secrets.digest(token), **values})
    return token


def viewer_of(rows: SealedRows, token: str, now: float) -> tuple[Viewer, bool] | None:
    """Who has this session, and whether to `touch` it; None if it does not hold."""
    mark = secrets.digest(token)
    row = rows.first(_table, _table.c.digest == mark)
    if row is None or now >= row.expires or now - row.seen > IDLE:
        return None
    account = store.row_of(rows, row.account)
    if account is None or account.state != "active":
        return None
    return Viewer(
        Account.of(account), row.how, mark_of(mark), secrets.csrf_of(token), row.opened
    ), now - row.seen > TOUCH


def check_fresh(rows: SealedRows, viewer: Viewer, now: float) -> None:
    """Before a factor or a token is made or taken away: a session that was left open does not suffice. Somebody who has
    no factor yet could not sign in anew. Raises `account.not-fresh`.
    """
    if not now - viewer.opened <= FRESH and store.has_factors(rows, viewer.account.id):
        raise ACCOUNT_NOT_FRESH(minutes=round(FRESH / 60))


def touch(connection: Connection, token: str, now: float) -> None:
    connection.execute(update(_table).where(_table.c.digest == secrets.digest(token)).values(seen=now))


def close(change: Change, account: str, token: str) -> None:
    change.remove(_table, account, secrets.digest(token))


def of_token(rows: SealedRows, token: str, now: float) -> Viewer | None:
    """Who sent this token of the API."""
    mine, mark = tables.console_token, secrets.digest(token)
    row = rows.first(mine, mine.c.digest == mark)
    if row is None or now >= row.expires:
        return None
    account = store.row_of(rows, row.account)
    if account is None or account.state != "active":
        return None
    return Viewer(Account.of(account), "token", mark_of(mark))
