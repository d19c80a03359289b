"""What somebody means who writes a name, or an id as far as a list shows it.

Invariant: who sees one agency is told of no transfer that does not concern it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from sqlalchemy import select

from contracts.base.errors import Theirs
from gateway.audit.search.known import meaning, names
from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.console.work import journeys
from gateway.journal.schema import tables

_NAMED: Final = ("agency", "system")
_ENDING: Final = re.compile(r"[0-9a-f]{12}")  # of a transfer's id, as lists show it
_BEGINNING: Final = re.compile(r"[A-Za-z0-9_-]{8,43}")  # of a thumbprint
_NEWEST: Final = 300_000  # entries in which an ending is looked for
_CUT: Final = " ….\u2026"


def named(desk: Desk, text: str) -> dict[str, str] | None:
    """The condition of a search by the title of an agency or a system; of several the title itself, for its form."""
    with desk.reading() as connection:
        for field in _NAMED:
            found = meaning(names(connection, field), text)
            if found:
                return {field: found[0] if len(found) == 1 else text}
    return None


def by_ending(desk: Desk, viewer: Viewer, text: str) -> str | None:
    """The transfer, or other event, of the newest entries whose id ends so; None if there is none, or several."""
    if not _ENDING.fullmatch(text.lower()):
        return None
    entry = tables.log_entry.c
    newest = select(entry.transfer).order_by(entry.transfer.desc()).limit(_NEWEST).subquery().c
    with desk.reading() as connection:
        found = connection.scalars(
            select(newest.transfer).where(newest.transfer.like(f"%{text.lower()}")).distinct().limit(2)
        ).all()
    if len(found) != 1:
        return None
    with suppress(Theirs):  # of another agency
        return journeys.find(desk, viewer, found[0]).transfer
    return None


def by_thumbprint(desk: Desk, text: str) -> str | None:
    """The system of the one key whose thumbprint begins so."""
    if not _BEGINNING.fullmatch(begins := text.rstrip(_CUT)):
        return None
    key = tables.system_key.c
    with desk.reading() as connection:
        rows = connection.scalars(
            select(key.system).where(key.thumbprint.startswith(begins, autoescape=True)).distinct().limit(2)
        ).all()
    return rows[0] if len(rows) == 1 else None
