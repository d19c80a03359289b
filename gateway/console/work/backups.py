"""Backups as the log knows them: the last one, whether it is overdue, restores, and drills that people recorded.

A backup is made and checked on the host, since it copies private keys. `lgsp drill restore` records its drills; those
on other machines are recorded by a person.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.audit.search.facts import Logged
from gateway.audit.search.search import Query, reading, search
from gateway.backup.manifest import LAST
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.journal import drills
from gateway.journal.append import append
from gateway.journal.logged import parse
from gateway.journal.values import value_of
from gateway.transfer import entries
from security.grants.windows import VIETNAM

KINDS: Final = ("check", "restore")
_SHOWN: Final = 10
_DAY: Final = 86_400.0


class Made(NamedTuple):
    """One entry. `facts` are those of its note."""

    at: float
    actor: str
    facts: dict[str, Any]


class Last(NamedTuple):
    """The last backup. `folder` is its name only. `verified`: None if it is older than this fact."""

    at: float
    folder: str
    keys: str
    verified: bool | None
    days: int


class Backups(NamedTuple):
    """`limit`: days after which a backup is overdue (`backup_days`); 0: never."""

    last: Last | None
    overdue: bool
    limit: int
    made: tuple[Made, ...]
    restores: tuple[Made, ...]
    drills: tuple[Made, ...]
    logged: tuple[Logged, ...]  # the entries of backups
    restored: tuple[Logged, ...]


def backups(desk: Desk) -> Backups:
    with desk.reading() as connection:
        text = value_of(connection, LAST)
    with reading(desk.services.engine) as connection:
        made, restores, tried, failovers = (
            search(connection, Query(kind=kind), limit=_SHOWN).hits
            for kind in ("backup", "restore", drills.RESTORE, drills.FAILOVER)
        )
    last, limit = None, desk.services.settings.backup_days
    if text is not None:
        told = json.loads(text)
        days = int((desk.now() - told["at"]) // _DAY)
        last = Last(told["at"], Path(told["folder"]).name, told["keys"], told.get("verified"), days)
    return Backups(
        last=last,
        overdue=bool(limit) and (last is None or last.days > limit),
        limit=limit,
        made=tuple(map(_made, made)),
        restores=tuple(map(_made, restores)),
        drills=tuple(sorted(map(_made, (*tried, *failovers)), key=lambda each: -each.at)),
        logged=made,
        restored=restores,
    )


def record_drill(desk: Desk, viewer: Viewer, of: tuple[str, str, bool], reason: str) -> None:
    """`of`: check or restore, the day, whether it went well. Raises `console.form`."""
    kind, day, ok = of
    now = desk.now()
    if kind not in KINDS:
        raise CONSOLE_FORM(field="kind", why=" | ".join(KINDS))
    try:
        then = date.fromisoformat(day)
    except ValueError:
        raise CONSOLE_FORM(field="day", why="2026-11-24") from None
    if then > datetime.fromtimestamp(now, VIETNAM).date():
        raise CONSOLE_FORM(field="day", why="after today")
    facts: dict[str, Any] = {"kind": kind, "day": then.isoformat(), "ok": ok, "reason": reason}
    with desk.writing() as connection:
        append(connection, [entries.note(drills.RESTORE, facts, now, actor=viewer.actor)])
        drills.remember(connection, drills.RESTORE, drills.Last(now, ok))


def _made(each: Logged) -> Made:
    value = parse(each.entry)
    facts = value.get("facts")
    return Made(each.sequenced, each.facts.actor or "", dict(facts) if isinstance(facts, dict) else {})
