"""Names the feeds of this instance, so that a cursor of another instance is told apart from its own.

The name is random. The first keeper that leads gives it, before anything is sequenced. A backup has it with the feeds.
"""

from __future__ import annotations

import secrets
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from gateway.journal.values import keep_first, value_of

KEY: Final = "feed.log"
_known: Final[WeakKeyDictionary[Engine, str]] = WeakKeyDictionary()  # a name never changes


def name(connection: Connection) -> str:
    """The name: base64url characters; empty before anything was sequenced."""
    known = _known.get(connection.engine)
    if known is None:
        known = value_of(connection, KEY) or ""
        if known:
            _known[connection.engine] = known
    return known


def begin(connection: Connection) -> None:
    """Gives a name to feeds that have none."""
    keep_first(connection, KEY, secrets.token_urlsafe(9))
