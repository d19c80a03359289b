"""Tokens of the management API: each is of one person, has his roles, and expires.

Invariant: a token is shown once. The database has its digest, the log its mark.
Invariant: whoever has a token can read and act as its person, and can neither approve nor make another token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from contracts.base.times import rfc3339
from gateway.console.accounts import secrets, store
from gateway.console.accounts.sessions import mark_of
from gateway.console.errors import CONSOLE_FORM, TOKEN_UNKNOWN
from gateway.journal.schema import tables

NOTE: Final = "console-token"  # the note of a token that was made or revoked
DAYS: Final = 1
MOST_DAYS: Final = 30
MOST_LABEL: Final = 100
_DAY: Final = 86_400.0
_table: Final = tables.console_token


@dataclass(frozen=True, slots=True)
class Token:
    mark: str
    account: str
    label: str
    created: float
    expires: float


def make(connection: Connection, token: Token, actor: str) -> tuple[str, Token]:
    """The token's text, and what is shown of it later; `mark` is given here. Raises `account.unknown`,
    `console.form`.
    """
    if not 0 < token.expires - token.created <= MOST_DAYS * _DAY:
        raise CONSOLE_FORM(field="days", why=f"1 – {MOST_DAYS}")
    if not 0 < len(token.label) <= MOST_LABEL or not token.label.isprintable():
        raise CONSOLE_FORM(field="label", why=f"1 – {MOST_LABEL} characters")
    store.find(connection, token.account)
    text = secrets.new_token()
    digest = secrets.digest(text)
    made = Token(mark_of(digest), token.account, token.label, token.created, token.expires)
    connection.execute(delete(_table).where(_table.c.expires < token.created))
    connection.execute(
        insert(_table).values(
            digest=digest, account=made.account, label=made.label, created=made.created, expires=made.expires
        )
    )
    facts = {
        "account": made.account,
        "how": "made",
        "mark": made.mark,
        "label": made.label,
        "until": rfc3339(made.expires),
    }
    store.note(connection, NOTE, facts, made.created, actor)
    return text, made


def wanted(account: str, label: str, days: int, now: float) -> Token:
    """A token that is to be made."""
    return Token("", account, label, now, now + days * _DAY)


def listed(connection: Connection, account: str | None, now: float) -> list[Token]:
    """The tokens in force, of an account or of all, newest first."""
    query = select(*_table.c).where(_table.c.expires > now).order_by(_table.c.created.desc(), _table.c.digest)
    if account is not None:
        query = query.where(_table.c.account == account)
    return [
        Token(mark_of(row.digest), row.account, row.label, row.created, row.expires)
        for row in connection.execute(query)
    ]


def revoke(connection: Connection, account: str, mark: str, now: float, actor: str) -> None:
    """Ends an account's token. Raises `token.unknown`."""
    digests = [
        row.digest
        for row in connection.execute(select(_table.c.digest).where(_table.c.account == account))
        if mark_of(row.digest) == mark
    ]
    if not digests:
        raise TOKEN_UNKNOWN(mark=mark)
    connection.execute(delete(_table).where(_table.c.digest.in_(digests)))
    store.note(connection, NOTE, {"account": account, "how": "revoked", "mark": mark}, now, actor)
