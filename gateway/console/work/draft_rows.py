"""Stores drafts of publications.

A checked draft is its maker's alone and ends after an hour; one that was handed in ends after two weeks. Each person
has one checked draft at most. The bytes of a bundle are dropped once the draft is decided or has ended.
Invariant: what was handed in is sealed with a key that is derived from the instance's hash key, which is a file. Who
  can only write to the database makes no draft of another person, and changes none.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from contracts.base import jcs
from gateway.console.errors import DRAFT_ALTERED, DRAFT_MANY
from gateway.console.site.desk import Desk
from gateway.journal.schema.console_tables import console_draft

PUBLISH, ROLL_BACK = "publish", "roll-back"
CHECKED, WAITING = "checked", "waiting"
CHECKED_SECONDS: Final = 3_600.0
WAITING_SECONDS: Final = 14 * 86_400.0
KEPT_SECONDS: Final = 90 * 86_400.0  # a decided one stays listed
MOST_WAITING: Final = 20
MOST_LISTED: Final = 100
_table: Final = console_draft
_LABEL: Final = b"lgsp console drafts v1"
_SHOWN: Final = tuple(column for column in _table.columns if column.name != "content")


@dataclass(frozen=True, slots=True)
class Draft:
    """`bundle` and `before` are digests; `account` and `actor` are the maker's; `why` is that of a rejection."""

    id: str
    act: str
    contract: str
    version: str
    bundle: str
    before: str | None
    accepted: tuple[str, ...]
    state: str
    account: str
    actor: str
    reason: str
    created: float
    expires: float
    decided: float | None
    decided_by: str | None
    why: str | None
    seal: str | None

    def is_open(self, now: float) -> bool:
        return self.state in (CHECKED, WAITING) and now < self.expires

    def standing(self, now: float) -> str:
        """The state, or `expired`."""
        return "expired" if self.state in (CHECKED, WAITING) and now >= self.expires else self.state


def keep(desk: Desk, made: Mapping[str, Any], before: str | None, content: bytes | None) -> Draft:
    """A new checked draft, instead of an earlier one of the same person. Raises `draft.many`."""
    now = desk.now()
    with desk.writing() as connection:
        _tidy(connection, now)
        connection.execute(delete(_table).where(_table.c.account == made["account"], _table.c.state == CHECKED))
        waiting = select(func.count()).select_from(_table).where(_table.c.state == WAITING, _table.c.expires > now)
        if (connection.scalar(waiting) or 0) >= MOST_WAITING:
            raise DRAFT_MANY(most=MOST_WAITING)
        row = {**made, "before": before, "content": content, "accepted": "[]", "state": CHECKED, "reason": ""}
        connection.execute(insert(_table).values(**row, expires=now + CHECKED_SECONDS))
        draft = find(connection, made["id"])
    assert draft is not None
    return draft


def _tidy(connection: Connection, now: float) -> None:
    ended = _table.c.expires <= now
    connection.execute(delete(_table).where(ended, _table.c.state == CHECKED))
    connection.execute(update(_table).where(ended, _table.c.content.is_not(None)).values(content=None))
    connection.execute(delete(_table).where(_table.c.expires <= now - KEPT_SECONDS))


def find(connection: Connection, id: str, *, lock: bool = False) -> Draft | None:
    query = select(*_SHOWN).where(_table.c.id == id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _of(row)


def content(connection: Connection, id: str) -> bytes | None:
    raw: bytes | None = connection.scalar(select(_table.c.content).where(_table.c.id == id))
    return raw


def every(connection: Connection, now: float) -> list[Draft]:
    """Open ones first, then the newest."""
    rows = connection.execute(select(*_SHOWN).order_by(_table.c.id.desc()).limit(MOST_LISTED))
    return sorted((_of(row) for row in rows), key=lambda each: not each.is_open(now))


def waiting(connection: Connection, account: str, now: float) -> int:
    """How many wait for somebody else than their maker."""
    others = (_table.c.state == WAITING) & (_table.c.expires > now) & (_table.c.account != account)
    return connection.scalar(select(func.count()).select_from(_table).where(others)) or 0


def hand_in(desk: Desk, connection: Connection, draft: Draft) -> Draft:
    """`draft` with what its maker accepts, his name and his reason."""
    draft = replace(draft, state=WAITING, expires=desk.now() + WAITING_SECONDS)
    draft = replace(draft, seal=_seal(desk, draft))
    values = {"state": WAITING, "accepted": json.dumps(draft.accepted), "expires": draft.expires, "seal": draft.seal}
    values |= {"actor": draft.actor, "reason": draft.reason}
    connection.execute(update(_table).where(_table.c.id == draft.id).values(**values))
    return draft


def check_seal(desk: Desk, draft: Draft) -> None:
    """Raises `draft.altered` unless a waiting draft is as its maker handed it in."""
    if not hmac.compare_digest((draft.seal or "").encode(), _seal(desk, draft).encode()):
        raise DRAFT_ALTERED(draft=draft.id)


def _seal(desk: Desk, draft: Draft) -> str:
    key = HKDF(SHA256(), 32, None, _LABEL).derive(desk.hash_key)
    what = [draft.id, draft.act, draft.contract, draft.version, draft.bundle, draft.before]
    who = [draft.account, draft.actor, draft.reason]
    whole = [*what, list(draft.accepted), *who, round(draft.expires * 1000)]
    return hmac.digest(key, jcs.encode(whole), hashlib.sha256).hex()


def decide(connection: Connection, id: str, state: str, by: str, now: float, why: str | None = None) -> None:
    values = {"state": state, "decided": now, "decided_by": by, "why": why, "content": None}
    connection.execute(update(_table).where(_table.c.id == id).values(**values))


def _of(row: Row[Any]) -> Draft:
    values = {column.name: getattr(row, column.name) for column in _SHOWN}
    return Draft(**{**values, "accepted": tuple(json.loads(row.accepted))})
