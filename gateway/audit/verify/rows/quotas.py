"""Compares counts of quotas with the log: the uses of a grant in the current window.

Intents and readings of feeds name the grant that decided, and those that allowed it too. Each of them with a quota
counted it in the same transaction. A repeat may count once more, if other grants allowed its first call.

A grant counts from the last approval of its present content, as it may have had no quota before. Near the limits of a
window and of an approval a use may or may not count. Past windows decide nothing and are not checked. Counts that a
restore reset are those of the log that was restored with them.
Uses of a tenant that moved its clock count in the window of that clock, which its entries bear. Of them the log of the
present window may be older, so too many are not looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from gateway.audit.verify.findings import Findings
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.registry.changes import granting, officers
from security.grants.grants import Grant, digest

_SEAM: Final = 120.0  # seconds: doors learn of an approval with a delay, and a reading is counted before it is noted
_SLACK: Final = 300.0  # by which the clocks of a door and of the keeper may differ
_PAGE: Final = 1000
_USES: Final = ("intent", "repeat", "feed-read")


def check_quotas(connection: Connection, now: float, wrong: Findings) -> None:
    """`now` selects the window, in Unix seconds."""
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
    for at, agency, bearing, again in uses(connection, min(window.begins for window in windows.values()), own=True):
        for id in bearing & windows.keys():
            if windows[id].begins <= at < windows[id].ends:
                most[id, agency] += 1
                least[id, agency] += at > since[id] + _SEAM and not again
    running = {
        (id, agency): used
        for (id, agency, per, begins), used in rows.items()
        if _runs(grants.get(id), windows.get(id), per, begins)
    }
    moved = set(connection.scalars(select(tables.agency.c.code).where(tables.agency.c.clock.is_not(None))))
    for id, agency in sorted(least.keys() | running.keys()):
        used = running.get((id, agency), 0)
        name = f"the quota of the grant {id} for {agency}"
        if used < least[id, agency]:
            wrong.add(f"{name}: {used} uses are counted, and the log has {least[id, agency]} in this window")
        elif used > most[id, agency] and agency not in moved:
            wrong.add(f"{name}: {used} uses are counted, and the log has at most {most[id, agency]} in this window")


def _runs(grant: Grant | None, window: Any, per: str, begins: int) -> bool:
    return grant is not None and grant.quota is not None and per == grant.quota.per and begins == window.begins


def _approved(connection: Connection, grant: Grant) -> float:
    """When the present content was approved, in Unix seconds."""
    table = tables.approval.c
    query = select(func.max(table.given)).where(
        table.subject == f"{granting.GRANT} {grant.id}", table.digest == digest(grant.canonical())
    )
    return float(connection.scalar(query) or 0.0)


def uses(connection: Connection, begins: float, *, own: bool = False) -> Iterator[tuple[float, str, set[str], bool]]:
    """(time, agency, grants, whether it is a repeat) of the intents, readings and repeats since `begins`. `own`: by the
    clock of a tenant that moved it.
    """
    every = set(connection.scalars(select(tables.access_grant.c.id)))
    for table, key in ((tables.log_pending, "id"), (tables.log_entry, "idx"), (tables.past_entry, "idx")):
        conditions: list[ColumnElement[bool]] = [table.c.phase.in_(_USES)]
        if "sequenced" in table.c:
            conditions.append(table.c.sequenced >= begins - _SLACK)
        order = [table.c.origin, table.c[key]] if "origin" in table.c else [table.c[key]]
        rows = connection.execute(
            select(table.c.entry).where(*conditions).order_by(*order).execution_options(yield_per=_PAGE)
        )
        for (entry,) in rows:
            value = parse(bytes(entry))
            at = moment(own and value.get("clock") or value.get("at"))
            if at < begins:
                continue
            if value.get("kind") == "note":
                facts = value.get("facts", {})
                if "session" in facts:  # no quota counts it
                    continue
                yield (
                    at,
                    str(value.get("actor")).partition("/")[0],
                    {str(facts.get("grant")), *facts.get("also", ())},
                    False,
                )
            else:
                again = value.get("kind") == "repeat"  # any grant may have counted it
                yield (
                    at,
                    str(value.get("caller", {}).get("agency")),
                    every if again else {str(value.get("grant")), *value.get("also", ())},
                    again,
                )


def moment(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
