"""Counts of quotas against the log: in the window that runs, a grant was used as often as intents and readings of feeds bear it.

Each names the grant that decided and those that let it through beside it; each of them that has a quota counted it, in the same transaction. A repeat
can count once more, where its first call was let through by others. A grant counts from its present content's last approval on, for before that it had
perhaps no quota; at the seams of a window and of an approval, by a minute or two, it may or may not. Windows that are over decide nothing and are not
looked at. Counts that a restore took back in time are those of the log that came with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from gateway.audit.verify.rows.findings import Findings
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.registry.changes import granting, officers
from security.grants.grants import Grant, digest

_SEAM: Final = (
    120.0  # seconds: doors know a grant a moment after it is approved, and a reading is noted after it was counted
)
_SLACK: Final = 300.0  # by which the clocks of a door and of the keeper may differ
_PAGE: Final = 1000
_USES: Final = ("intent", "repeat", "feed-read")


def check_quotas(connection: Connection, now: float, wrong: Findings) -> None:
    """`now` is the time of the window that is looked at, in Unix seconds."""
    grants = {
        each.id: each for each in granting.grants(connection, officers.officers(connection)) if each.quota is not None
    }
    table = tables.quota_use.c
    rows = {
        (row.grant_id, row.agency, row.per, int(row.begins)): int(row.used)
        for row in connection.execute(select(*table))
    }
    wrong.count("counts of quotas", len(rows))
    windows = {id: grant.quota.window(now) for id, grant in grants.items() if grant.quota is not None}
    if not windows:
        return
    since = {id: max(float(window.begins), _approved(connection, grants[id])) for id, window in windows.items()}
    least, most = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for at, agency, bearing, again in _uses(connection, min(window.begins for window in windows.values())):
        for id in bearing & windows.keys():
            if windows[id].begins <= at < windows[id].ends:
                most[id, agency] += 1
                least[id, agency] += at > since[id] + _SEAM and not again
    running = {
        (id, agency): used
        for (id, agency, per, begins), used in rows.items()
        if _runs(grants.get(id), windows.get(id), per, begins)
    }
    for id, agency in sorted(least.keys() | running.keys()):
        used = running.get((id, agency), 0)
        name = f"the quota of the grant {id} for {agency}"
        if used < least[id, agency]:
            wrong.add(f"{name}: {used} uses are counted, and the log has {least[id, agency]} in this window")
        elif used > most[id, agency]:
            wrong.add(f"{name}: {used} uses are counted, and the log has at most {most[id, agency]} in this window")


def _runs(grant: Grant | None, window: Any, per: str, begins: int) -> bool:
    return grant is not None and grant.quota is not None and per == grant.quota.per and begins == window.begins


def _approved(connection: Connection, grant: Grant) -> float:
    """When the content that holds now was approved."""
    table = tables.approval.c
    given = select(func.max(table.given)).where(
        table.subject == f"{granting.GRANT} {grant.id}", table.digest == digest(grant.canonical())
    )
    return float(connection.scalar(given) or 0.0)


def _uses(connection: Connection, begins: float) -> Iterator[tuple[float, str, set[str], bool]]:
    """(time, agency, grants, whether it is a repeat) of the intents, readings and repeats since then."""
    every = set(connection.scalars(select(tables.access_grant.c.id)))
    for table, key in ((tables.log_pending, "id"), (tables.log_entry, "idx"), (tables.past_entry, "idx")):
        wanted: list[ColumnElement[bool]] = [table.c.phase.in_(_USES)]
        if "sequenced" in table.c:
            wanted.append(table.c.sequenced >= begins - _SLACK)
        order = [table.c.origin, table.c[key]] if "origin" in table.c else [table.c[key]]
        rows = connection.execute(
            select(table.c.entry).where(*wanted).order_by(*order).execution_options(yield_per=_PAGE)
        )
        for (entry,) in rows:
            value = parse(bytes(entry))
            at = _moment(value.get("at"))
            if at < begins:
                continue
            if value.get("kind") == "note":
                told = value.get("facts", {})
                yield (
                    at,
                    str(value.get("actor")).partition("/")[0],
                    {str(told.get("grant")), *told.get("also", ())},
                    False,
                )
            else:
                again = value.get("kind") == "repeat"  # against which grants it counted depends on the decision of then
                yield (
                    at,
                    str(value.get("caller", {}).get("agency")),
                    every if again else {str(value.get("grant")), *value.get("also", ())},
                    again,
                )


def _moment(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
