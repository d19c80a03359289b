"""Counts the uses of a grant before a past moment, from the log.

Counts of quotas are kept for the end of a window. Of a moment within it only the log knows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select

from gateway.audit.search.search import Query, search
from gateway.journal.logged import parse
from gateway.journal.schema import tables

_PAGE: Final = 500
_PAGES: Final = 40  # beyond these the count is unknown
_SLACK: Final = 300.0  # seconds by which the clocks of a door and of the keeper may differ
_USES: Final = ("intent", "feed-read")


def uses_before(connection: Connection, grant: str, agency: str, begins: float, at: float) -> int | None:
    """Uses by an agency from `begins` up to `at`, in Unix seconds; None if the database does not tell.

    It does not where a log ended within that time, or where the agency has too many entries.
    """
    if (connection.scalar(select(func.max(tables.log_origin.c.ended))) or 0.0) > begins:
        return None
    count, cursor = 0, None
    query = Query(agency=agency, since=begins - _SLACK, until=at + _SLACK, oldest_first=True)
    for _ in range(_PAGES):
        page = search(connection, query, limit=_PAGE, cursor=cursor)
        count += sum(_uses(parse(hit.entry), grant, begins, at) for hit in page.hits if hit.facts.kind in _USES)
        cursor = page.next
        if cursor is None:
            return count
    return None


def _uses(entry: Any, grant: str, begins: float, at: float) -> bool:
    bearing = entry.get("facts", {}) if entry.get("kind") == "note" else entry
    when = datetime.fromisoformat(str(entry.get("at"))).timestamp()
    return begins <= when < at and grant in (bearing.get("grant"), *bearing.get("also", ()))
