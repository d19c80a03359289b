"""Compares the counts of a sandbox's vendors with the log: the calls of a tenant in the current minute and day.

Each intent of a tenant counts once in both, in its own transaction and at its own time; a repeat counts in none. So the
counts are exact, from the time when the present limits were set. Limits are those of the settings that the last start
kept (`gateway.audit.log.changes`); without them a count that is missing is not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, func, select

from gateway.audit.log.changes import NOTE, SEEN, values_of
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.quotas import moment, uses
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.registry.tenants import POLICY, PREFIX, is_tenant
from security.grants.windows import Quota

_SEAM: Final = 120.0  # seconds: doors that started before the limits changed
_SETTINGS: Final = {"minute": "sandbox_vendor_minute", "day": "sandbox_vendor_day"}


def check_vendors(connection: Connection, now: float, wrong: Findings) -> None:
    """`now` selects the windows, in Unix seconds."""
    agency, use = tables.agency.c, tables.quota_use.c
    tenants = connection.scalar(select(func.count()).where(agency.code.startswith(PREFIX, autoescape=True)))
    if not tenants:
        return
    windows = {per: Quota(1, per).window(now) for per in _SETTINGS}
    limits, since = _limits(connection), _set(connection)
    least, most = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for at, caller, _grants, again in uses(connection, min(each.begins for each in windows.values())):
        for per, window in windows.items():
            if is_tenant(caller) and not again and window.begins <= at < window.ends:
                most[caller, per] += 1
                least[caller, per] += at > since + _SEAM and limits.get(per, 0) > 0
    rows = connection.execute(select(use.agency, use.per, use.begins, use.used).where(use.grant_id == POLICY))
    counted = {
        (row.agency, row.per): int(row.used)
        for row in rows
        if row.per in windows and int(row.begins) == windows[row.per].begins
    }
    wrong.count("counts of vendors", len(counted))
    for caller, per in sorted(counted.keys() | least.keys()):
        used, log = counted.get((caller, per), 0), most[caller, per]
        if not least[caller, per] <= used <= log:
            wrong.add(f"the calls of {caller} in this {per}: {used} are counted, and the log has {log}")


def _limits(connection: Connection) -> Mapping[str, int]:
    """What every machine's last start said, by period."""
    table = tables.instance.c
    kept = [
        values_of(each)
        for each in connection.scalars(select(table.value).where(table.key.startswith(SEEN, autoescape=True)))
    ]
    return {per: min((_limit(each.get(name)) for each in kept), default=0) for per, name in _SETTINGS.items()}


def _limit(value: object) -> int:
    return value if type(value) is int else 0


def _set(connection: Connection) -> float:
    """When settings were last noted to have changed, in Unix seconds."""
    newest = 0.0
    for table in tables.LOGS:
        for entry in connection.scalars(select(table.c.entry).where(tables.NOTES, table.c.phase == NOTE)):
            value = parse(bytes(entry))
            newest = max(newest, moment(value.get("at")))
    return newest
