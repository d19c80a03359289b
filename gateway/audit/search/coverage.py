"""Says up to which entry and time a search goes, and how much waits for its place in the log."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.times import moment, rfc3339
from gateway.journal.logged import parse
from gateway.journal.schema import tables

MOST_WAITING: Final = 1_000  # entries without a place that are counted


class Coverage(NamedTuple):
    """What a search can find now. `newest`: when the last of these entries got its place; None: there is none yet.
    `waiting`: entries that were written and have no place yet, up to `MOST_WAITING`; `oldest`: since when the first one
    waits.
    """

    entries: int
    newest: float | None
    waiting: int
    oldest: float | None

    def to_json(self) -> dict[str, Any]:
        times = {"newest": self.newest, "waitingSince": self.oldest}
        told = {name: None if at is None else rfc3339(at) for name, at in times.items()}
        return {"entries": self.entries, "waiting": self.waiting} | told


def coverage(connection: Connection) -> Coverage:
    """Up to which entry a search goes. Where no keeper leads, what happened lately waits and is not found."""
    entry, pending = tables.log_entry.c, tables.log_pending.c
    last = connection.execute(select(entry.idx, entry.sequenced).order_by(entry.idx.desc()).limit(1)).first()
    ids = connection.execute(select(pending.id).order_by(pending.id).limit(MOST_WAITING)).scalars().all()
    first = connection.scalar(select(pending.entry).where(pending.id == ids[0])) if ids else None
    oldest = None if first is None else moment(str(parse(bytes(first)).get("at")))
    return Coverage(0 if last is None else int(last[0]) + 1, None if last is None else last[1], len(ids), oldest)
