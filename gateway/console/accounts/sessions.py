"""Sessions: a random cookie, of which the database has the digest.

Invariant: signing in always opens a new session, so nobody can fix one beforehand.
Invariant: a session ends after half an hour without a request, and after twelve hours in any case.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from gateway.console.accounts import secrets
from gateway.console.accounts.records import Account, How, Viewer
from gateway.journal.schema import tables

IDLE: Final = 1800.0
LONGEST: Final = 43_200.0
TOUCH: Final = 60.0  # a session is not written more often
_table: Final = tables.console_session
_MARK: Final = 8


def mark_of(digest: str) -> str:
    """A short name of a session or a token, for pages and for the log."""
    return digest[:_MARK]


def open_session(connection: Connection, account: str, how: How, source: str, now: float) -> str:
    """The cookie's value."""
    token = secrets.new_token()
    connection.execute(delete(_table).where(_table.c.expires < now))
    connection.execute(
        insert(_table).values(
            digest=secrets.digest(token),
            account=account,
            how=how,
            source=source,
            opened=now,
            seen=now,
            expires=now + LONGEST,
        )
    )
    return token


def viewer_of(connection: Connection, token: str, now: float) -> tuple[Viewer, bool] | None:
    """Who has this session, and whether to `touch` it; None if it does not hold."""
    account, mark = tables.console_account, secrets.digest(token)
    row = connection.execute(
        select(*account.c, _table.c.how, _table.c.seen, _table.c.expires)
        .join_from(_table, account, account.c.id == _table.c.account)
        .where(_table.c.digest == mark)
    ).first()
    if row is None or row.state != "active" or now >= row.expires or now - row.seen > IDLE:
        return None
    return Viewer(Account.of(row), row.how, mark_of(mark), secrets.csrf_of(token)), now - row.seen > TOUCH


def touch(connection: Connection, token: str, now: float) -> None:
    connection.execute(update(_table).where(_table.c.digest == secrets.digest(token)).values(seen=now))


def close(connection: Connection, token: str) -> None:
    connection.execute(delete(_table).where(_table.c.digest == secrets.digest(token)))


def of_token(connection: Connection, token: str, now: float) -> Viewer | None:
    """Who sent this token of the API."""
    account, mine, mark = tables.console_account, tables.console_token, secrets.digest(token)
    row = connection.execute(
        select(*account.c, mine.c.expires)
        .join_from(mine, account, account.c.id == mine.c.account)
        .where(mine.c.digest == mark)
    ).first()
    if row is None or row.state != "active" or now >= row.expires:
        return None
    return Viewer(Account.of(row), "token", mark_of(mark))
