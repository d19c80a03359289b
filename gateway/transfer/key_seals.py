"""Seals the rows of business keys: a row that was changed in the database is not believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from gateway.journal.write import KeyRow

TAKEN_UP: Final = "feed-keys"  # the note of older events whose keys were taken up
EXPIRY_NOTE: Final = "feed-expired"  # content of a feed whose time has come
EXPIRY: Final = "feed.expiry"  # in `instance`, with a feed: the offset up to which its events were looked through
HISTORY: Final = "feed.history"  # in `instance`: since when past rows are kept; of one feed with its name behind it
HashId = Callable[[str], str]


def sealed(row: KeyRow, hash_id: HashId) -> KeyRow:
    return row._replace(seal=_seal(row, hash_id))


def is_sound(row: KeyRow, hash_id: HashId) -> bool:
    """Whether the row is as a process of the gateway wrote it."""
    return row.seal == _seal(row, hash_id)


def _seal(row: KeyRow, hash_id: HashId) -> str:
    return hash_id("feed row\n" + json.dumps(row._replace(seal="")))
