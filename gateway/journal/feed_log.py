"""Names the feeds of this instance, so that a cursor of another instance is told apart from its own.

The name is random. The first keeper that leads gives it, before anything is sequenced. A backup has it with the feeds.
"""

from __future__ import annotations

import secrets
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, insert, select

from gateway.journal.schema import tables

KEY: Final = "feed.log"
_known: Final[WeakKeyDictionary[Engine, str]] = WeakKeyDictionary()  # a name never changes


def name(connection: Connection) -> str:
    """The name: base64url characters; empty before anything was sequenced."""
    known = _known.get(connection.engine)
    if known is None:
        known = connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == KEY)) or ""
        if known:
            _known[connection.engine] = known
    return known


def begin(connection: Connection) -> None:
    """Gives a name to feeds that have none."""
    if connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == KEY)) is None:
        connection.execute(insert(tables.instance).values(key=KEY, value=secrets.token_urlsafe(9)))
