"""Counts probes by system and day in Vietnam.

The counts of a day grow in `probe_day`. When the day has ended, they become one entry of the log for each system, and
their rows are removed, in one transaction. The id of that entry has the last millisecond of the day as its time.
Invariant: a probe is counted once, in a row or in an entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from contracts.base.ids import derived_id
from gateway.journal.append import append
from gateway.journal.database import insert
from gateway.journal.schema.watch_tables import probe_day as table
from gateway.transfer import entries
from gateway.transfer.entries import PROBES
from security.grants.windows import VIETNAM


class Counted(NamedTuple):
    """How often a system was probed on a day, and how often it took the connection."""

    system: str
    day: str
    probes: int
    answered: int


def record(connection: Connection, results: Mapping[str, bool], now: float) -> None:
    """Adds one round of probes: by system, whether it took the connection. Days that have ended go into the log."""
    today = datetime.fromtimestamp(now, VIETNAM).date().isoformat()
    _log(connection, list(counted(connection, "", today)), now)
    if not results:
        return
    values = [
        {"system": system, "day": today, "probes": 1, "answered": int(answered)}
        for system, answered in sorted(results.items())
    ]
    statement = insert(connection, table)
    added = {name: table.c[name] + statement.excluded[name] for name in ("probes", "answered")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=[table.c.system, table.c.day], set_=added), values
    )


def counted(connection: Connection, first: str, until: str) -> Iterator[Counted]:
    """The rows from a day on, to before another."""
    rows = select(table).where(table.c.day >= first, table.c.day < until).order_by(table.c.day, table.c.system)
    for row in connection.execute(rows):
        yield Counted(row.system, row.day, row.probes, row.answered)


def _log(connection: Connection, ended: list[Counted], now: float) -> None:
    if not ended:
        return
    append(connection, [entries.note(PROBES, _facts(each), now, about=_id(each)) for each in ended])
    connection.execute(delete(table).where(table.c.day <= ended[-1].day))


def _facts(one: Counted) -> dict[str, str | int]:
    return {"provider": one.system, "day": one.day, "probes": one.probes, "answered": one.answered}


def _id(one: Counted) -> str:
    end = datetime.combine(date.fromisoformat(one.day) + timedelta(days=1), time(), VIETNAM)
    return derived_id(f"{PROBES}\n{one.system}\n{one.day}", round(end.timestamp() * 1000) - 1)
