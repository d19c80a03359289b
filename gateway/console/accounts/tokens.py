"""Tokens of the management API: each is of one person, has his roles, and expires.

Invariant: a token is shown once. The database has its digest, the log its mark.
Invariant: whoever has a token can read and act as its person, and can neither approve nor make another token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts.base.times import rfc3339
from gateway.console.accounts import secrets, store
from gateway.console.accounts.sessions import mark_of
from gateway.console.errors import CONSOLE_FORM, TOKEN_UNKNOWN
from gateway.journal.schema import tables
from gateway.registry.seals.account_rows import Change, SealedRows

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


def make(change: Change, token: Token) -> tuple[str, Token]:
    """The token's text, and what is shown of it later; `mark` is given here. Raises `account.unknown`,
    `console.form`.
    """
    if not 0 < token.expires - token.created <= MOST_DAYS * _DAY:
        raise CONSOLE_FORM(field="days", why=f"1 – {MOST_DAYS}")
    if not 0 < len(token.label) <= MOST_LABEL or not token.label.isprintable():
        raise CONSOLE_FORM(field="label", why=f"1 – {MOST_LABEL} characters")
    store.find(change, token.account)
    text = secrets.new_token()
    digest = secrets.digest(text)
    made = Token(mark_of(digest), token.account, token.label, token.created, token.expires)
    change.expire(_table)
    values = {"account": made.account, "label": made.label, "created": made.created, "expires": made.expires}
    change.add(_table, {"digest": digest, **values})
    facts = {
        "account": made.account,
        "how": "made",
        "mark": made.mark,
        "label": made.label,
        "until": rfc3339(made.expires),
    }
    change.note(NOTE, facts)
    return text, made


def wanted(account: str, label: str, days: int, now: float) -> Token:
    """A token that is to be made."""
    return Token("", account, label, now, now + days * _DAY)


def listed(rows: SealedRows, account: str | None, now: float) -> list[Token]:
    """The tokens in force, of an account or of all, newest first."""
    mine = () if account is None else (_table.c.account == account,)
    found = sorted(rows.all(_table, _table.c.expires > now, *mine), key=lambda row: (-row.created, row.digest))
    return [Token(mark_of(row.digest), row.account, row.label, row.created, row.expires) for row in found]


def revoke(change: Change, account: str, mark: str) -> None:
    """Ends an account's token. Raises `token.unknown`."""
    digests = [digest for digest in change.keys(_table, account) if mark_of(digest) == mark]
    if not digests:
        raise TOKEN_UNKNOWN(mark=mark)
    for digest in digests:
        change.remove(_table, account, digest)
    change.note(NOTE, {"account": account, "how": "revoked", "mark": mark})
