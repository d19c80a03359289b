"""Accounts and sessions as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from gateway.console.roles import May, Role, allowed, sees_all

How = Literal["link", "totp", "passkey", "oidc", "token"]


@dataclass(frozen=True)
class Account:
    """A person who may sign in. An officer's account has the id of the officer in the registry."""

    id: str
    agency: str
    name: str
    roles: tuple[Role, ...]
    active: bool

    @classmethod
    def of(cls, row: Any) -> Account:
        roles = tuple(Role(each) for each in json.loads(row.roles))
        return cls(id=row.id, agency=row.agency, name=row.name, roles=roles, active=row.state == "active")

    @cached_property
    def may(self) -> frozenset[May]:
        return allowed(self.roles)

    @property
    def scope(self) -> str | None:
        """The agency that he sees, if he does not see all."""
        return None if sees_all(self.roles) else self.agency


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody at the console, proved by a session or a token. `mark` is a short name of it for the log."""

    account: Account
    how: How
    mark: str
    csrf: str = ""
    opened: float = 0.0  # when the session was; of a token 0

    @property
    def actor(self) -> str:
        """How the log names him; `account_in` reads the account of it."""
        return f"{self.account.agency}/{self.account.id}: console, {self.how} {self.mark}"


def account_in(actor: str) -> str:
    """The account of an actor as the log names him: of a console, or of a command line where a person was proved. Empty
    if it names none."""
    named, separator, _ = actor.partition(": ")
    return named.rpartition("/")[2] if separator and "/" in named else ""
