"""Invitation codes: each may be used a stated number of times, until a stated time.

They are rows of `instance`, one a code, with the digest of the code and never the code itself.
Invariant: a use is counted in the transaction that admits the tenant, so a code is never used more often than stated.
Invariant: a row alone admits nobody. Uses and time are those of the log (`gateway.audit.verify.rows.invitations`).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, replace
from typing import Final

from sqlalchemy import Connection, delete, select

from contracts.base.times import rfc3339
from gateway.audit.verify.rows.invitations import KIND, PREFIX, logged, read
from gateway.audit.verify.rows.invitations import Invitation as Invitation
from gateway.journal.append import append
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.sandbox.vendors.errors import SANDBOX_INVITATION
from gateway.transfer import entries
from security.transparency.entry import Json

DAYS: Final = 14
MOST_DAYS: Final = 90
MOST_USES: Final = 100
MOST_LABEL: Final = 100
LONGEST: Final = 64  # characters of a code
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH: Final = 20  # 100 random bits
_DAY: Final = 86_400.0
LEAST_MARK: Final = 12  # characters that name an invitation


def make(connection: Connection, label: str, uses: int, until: float) -> tuple[str, Invitation]:
    """A new code and what is kept of it. ValueError for uses or a label out of bounds."""
    if not 1 <= uses <= MOST_USES or not 0 < len(label) <= MOST_LABEL or not label.isprintable():
        raise ValueError(f"uses 1–{MOST_USES}, a label of 1–{MOST_LABEL} characters")
    code = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(_LENGTH // 5))
    made = Invitation(_mark(code), label, uses, 0, until)
    _store(connection, made)
    return code, made


def invite(connection: Connection, label: str, uses: int, days: int, by: tuple[str, float]) -> tuple[str, Invitation]:
    """A new code with its entry. `by`: who, and when (Unix time). ValueError for what is out of bounds."""
    actor, now = by
    if not 1 <= days <= MOST_DAYS:
        raise ValueError(f"1 – {MOST_DAYS} days")
    code, made = make(connection, label, uses, now + days * _DAY)
    facts: dict[str, Json] = {"mark": made.mark, "label": label, "uses": uses, "until": rfc3339(made.until)}
    append(connection, [entries.note(KIND, facts, now, actor=actor)])
    return code, made


def take_back(connection: Connection, mark: str, by: tuple[str, float], reason: str = "") -> Invitation | None:
    """Withdraws the one invitation whose mark begins so, with its entry; None if there is not one. `by` as above."""
    actor, now = by
    meant = [each for each in listed(connection) if len(mark) >= LEAST_MARK and each.mark.startswith(mark)]
    if len(meant) != 1 or not withdraw(connection, meant[0].mark):
        return None
    facts: dict[str, Json] = {"mark": meant[0].mark, "label": meant[0].label, "withdrawn": True}
    append(connection, [entries.note(KIND, facts | ({"reason": reason} if reason else {}), now, actor=actor)])
    return meant[0]


def listed(connection: Connection) -> list[Invitation]:
    table = tables.instance.c
    rows = connection.execute(select(table.key, table.value).where(table.key.startswith(PREFIX, autoescape=True)))
    stated = (read(row.key, row.value) for row in rows)
    return sorted((each for each in stated if each is not None), key=lambda each: (each.until, each.mark))


def withdraw(connection: Connection, mark: str) -> bool:
    """Whether there was one of this mark."""
    return bool(connection.execute(delete(tables.instance).where(tables.instance.c.key == PREFIX + mark)).rowcount)


def spend(connection: Connection, code: str, now: float) -> Invitation:
    """Counts one use. Raises `sandbox.invitation`."""
    found = check(connection, code, now)
    spent = replace(found, used=found.used + 1)
    _store(connection, spent)
    return spent


def check(connection: Connection, code: str, now: float) -> Invitation:
    """The invitation that holds. Raises `sandbox.invitation`, which does not say what is wrong."""
    given = code.strip().lower()
    if not given or len(given) > LONGEST:
        raise SANDBOX_INVITATION()
    mark = _mark(given)
    value = value_of(connection, PREFIX + mark)
    stated = None if value is None else read(PREFIX + mark, value)
    if stated is None or not stated.holds(now):
        raise SANDBOX_INVITATION()
    found = logged(connection).get(mark)
    if found is None or not found.holds(now):
        raise SANDBOX_INVITATION()
    return found


def _mark(code: str) -> str:
    """128 bits of the digest: nobody finds a code to it."""
    return hashlib.sha256(b"lgsp sandbox invitation v1\n" + code.encode()).hexdigest()[:32]


def _store(connection: Connection, invitation: Invitation) -> None:
    keep(connection, PREFIX + invitation.mark, json.dumps(asdict(invitation), ensure_ascii=False))
