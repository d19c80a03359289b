"""Filters that somebody keeps under a name: for himself, on one page.

They are bookmarks: nothing is decided by them, and they are not in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection, delete, insert, select

from gateway.console.errors import CONSOLE_FORM, CONSOLE_NAME_TAKEN
from gateway.console.work.searching import Filter
from gateway.journal.schema import tables

MOST: Final = 50
_table: Final = tables.console_filter


@dataclass(frozen=True, slots=True)
class Saved:
    name: str
    query: str  # as in an address


def listed(connection: Connection, account: str, page: str) -> list[Saved]:
    rows = connection.execute(
        select(_table.c.name, _table.c.query)
        .where(_table.c.account == account, _table.c.page == page)
        .order_by(_table.c.name)
    )
    return [Saved(row.name, row.query) for row in rows]


def save(connection: Connection, account: str, page: str, name: str, filter: Filter, now: float) -> None:
    """Raises `console.form`, `console.name-taken`."""
    if not name or len(name) > 60 or not name.isprintable():
        raise CONSOLE_FORM(field="name", why="1-60 characters")
    known = listed(connection, account, page)
    if len(known) >= MOST or any(each.name == name for each in known):
        raise CONSOLE_NAME_TAKEN(name=name, most=MOST)
    row = {"account": account, "page": page, "name": name, "query": urlencode(filter.given), "created": now}
    connection.execute(insert(_table).values(row))


def forget(connection: Connection, account: str, page: str, name: str) -> None:
    """Does nothing if there is none of that name."""
    connection.execute(delete(_table).where(_table.c.account == account, _table.c.page == page, _table.c.name == name))
