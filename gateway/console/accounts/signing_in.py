"""Signs people in: by a password with a code, by a passkey, by a link that works once, or by the organisation's OpenID
provider.

Each attempt, failed or not, is an entry of the log; of a flood of failed ones there are sums (`attempts`). A failed one
never says which part was wrong, nor whether there is such an account.
Invariant: a code counts once (RFC 6238, 5.2), a link signs in once.
Invariant: after five failures of password and code they are locked, each time twice as long, for a quarter of an hour
  at most; one failure is forgotten every ten minutes. Attempts at the same time do not get more than five.
Invariant: only what can be guessed is locked and counted. A passkey and a link cannot be guessed: they sign in at any
  time, and a response of a passkey that proves nothing is not counted.
Invariant: no password is hashed while the database is locked for others.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, update

from contracts.base.errors import Failure
from gateway.console.accounts import passkeys, secrets, sessions, store
from gateway.console.accounts.attempts import FREE, Attempts, after_failure
from gateway.console.accounts.passkeys import Site
from gateway.console.accounts.records import How
from gateway.console.errors import ACCOUNT_LOCKED, LOGIN_FAILED, LOGIN_LINK
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.seals.account_rows import Change, changing, reading
from gateway.registry.seals.accounts import Seal

__all__ = ["FREE", "SIGNED_IN", "SIGNED_OUT", "Given", "Outcome", "SignIn"]
SIGNED_IN: Final = "console-sign-in"
SIGNED_OUT: Final = "console-sign-out"
_account, _link = tables.console_account, tables.console_link
Outcome = str | Failure  # the cookie's value, or why not


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody typed."""

    name: str
    password: str
    code: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """One attempt, from an address, at a moment."""

    engine: Engine
    seal: Seal
    sealer: secrets.Sealer
    attempts: Attempts
    source: str
    now: float

    def by_password(self, given: Given) -> Outcome:
        with reading(self.engine, self.seal) as rows:
            row = store.row_of(rows, given.name)
        known = row is not None and row.state == "active"
        if self._locked(row) if known else self.attempts.locked(given.name, self.now):
            fits = False  # nothing is hashed
        else:
            fits = secrets.password_fits(row.password if known else None, given.password)
        if not known:
            locked = self.attempts.fail_unknown(given.name, self.now)
            return self.refused(given.name, LOGIN_FAILED() if locked is None else self._locked_failure(locked))
        with self._changing() as change:
            outcome = self._judged(change, given, row, fits)
        return self.refused(given.name, outcome) if isinstance(outcome, Failure) else outcome

    def by_passkey(self, site: Site, response: str) -> Outcome:
        """The passkey says whose it is."""
        with self._changing() as change:
            account, outcome = self._proved(change, site, response)
        return self.refused(account, outcome) if isinstance(outcome, Failure) else outcome

    def _proved(self, change: Change, site: Site, response: str) -> tuple[str, Outcome]:
        try:
            passkey = passkeys.owner(change, response)
        except Failure:
            passkey = None
        if passkey is None:
            return "", LOGIN_FAILED()
        row = store.row_of(change, passkey.account)
        if row is None or row.state != "active":
            return passkey.account, LOGIN_FAILED()
        try:
            passkeys.prove(change, site, passkey, response)
        except Failure:
            return row.id, LOGIN_FAILED()
        return row.id, succeed(change, row.id, "passkey", self.source)

    def by_link(self, token: str, code: str = "") -> Outcome:
        """`code`: of the second person, if the link needs one."""
        mark = store.link_mark(token, code)
        with reading(self.engine, self.seal) as rows:
            row = rows.first(_link, _link.c.digest == mark)
        if row is None:
            return self.refused("", LOGIN_LINK())
        with self._changing() as change:
            account = store.row_of(change, row.account)
            held = account is not None and account.state == "active" and self.now < row.expires
            if held and change.remove(_link, row.account, mark):
                store.end_links(change, row.account)
                return succeed(change, row.account, "link", self.source)
        return self.refused(row.account, LOGIN_LINK())

    def by_provider(self, account: str) -> Outcome:
        """Somebody whom the OpenID provider proved. No account is made."""
        with self._changing() as change:
            row = store.row_of(change, account)
            if row is not None and row.state == "active":
                return succeed(change, account, "oidc", self.source)
        return self.refused(account, LOGIN_FAILED())

    def _judged(self, change: Change, given: Given, seen: Any, fits: bool) -> Outcome:
        """`fits`: of the password as it was `seen`; the rest is looked at anew, since attempts run at the same time."""
        row = store.row_of(change, given.name)
        if row is None or row.state != "active":
            return LOGIN_FAILED()
        if self._locked(row):
            return self._locked_failure(row.locked)
        secret = None if row.totp is None else self.sealer.open(given.name, row.totp)
        step = None if secret is None else secrets.step_of(secret, given.code, self.now)
        unused = step is not None and (row.step is None or row.step < step)
        if fits and unused and row.password == seen.password:
            change.alter(_account, row, {"step": step})
            return succeed(change, given.name, "totp", self.source)
        self._count(change, row)
        return LOGIN_FAILED()

    def _changing(self) -> AbstractContextManager[Change]:
        return changing(self.engine, self.seal, self.now, "console")

    def _count(self, change: Change, row: Any) -> None:
        """One failure more, and the lock that follows from it."""
        failed, locked = after_failure(row.failed, row.locked, self.now)
        values = {"failed": failed, "locked": locked}
        change.connection.execute(update(_account).where(_account.c.id == row.id).values(values))

    def _locked(self, row: Any) -> bool:
        return row.locked is not None and self.now < row.locked

    def _locked_failure(self, until: float) -> Failure:
        return ACCOUNT_LOCKED(seconds=math.ceil(until - self.now))

    def refused(self, name: str, failure: Failure) -> Failure:
        """Notes it. A name that no account may have could be a password in the wrong field, so it is not kept."""
        count = self.attempts.entry_for(self.source, self.now)
        if count is not None:
            facts: dict[str, Any] = {
                "account": name if store.may_be_id(name) else "",
                "failure": failure.code,
                "source": self.source,
            }
            with writing(self.engine) as connection:
                more = {} if count == 1 else {"count": count}
                store.note(connection, SIGNED_IN, facts | more, self.now, "console")
        return failure


def ended(engine: Engine, seal: Seal, token: str, now: float) -> None:
    """Ends the session that a browser had, after it signed in anew: it has no way back to it."""
    with changing(engine, seal, now, "console") as change:
        found = sessions.viewer_of(change, token, now)
        if found is not None:
            viewer = found[0]
            sessions.close(change, viewer.account.id, token)
            change.note(SIGNED_OUT, {"account": viewer.account.id, "how": "signed in anew"}, viewer.actor)


def succeed(change: Change, account: str, how: How, source: str) -> str:
    """Open a session for somebody who was proved."""
    unlocked = update(_account).where(_account.c.id == account).values(failed=0, locked=None)
    change.connection.execute(unlocked)
    token = sessions.open_session(change, account, how, source)
    viewer = sessions.viewer_of(change, token, change.now)
    assert viewer is not None
    change.note(SIGNED_IN, {"account": account, "how": how, "source": source}, viewer[0].actor)
    return token
