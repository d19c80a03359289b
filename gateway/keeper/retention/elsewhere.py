"""What a keeper that does not lead does on its own machine: files of destroyed keys go, and old copies.

The leading keeper destroys keys, in the store and in the copies of its own machine. Copies of another machine, or files
in its folder, are found here: the main database says which keys were destroyed.
Invariant: a key goes only if its retention is over by its own name, and if the log says that its end was begun. A row
  of `vault_destroyed` alone ends nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine, select

from gateway.journal.noted import read_notes
from gateway.journal.schema import tables
from gateway.keeper.retention import clock as clocks
from gateway.vault.classes import KeyName
from gateway.vault.vault import Vault

NOTE: Final = "retention"
LOOK_SECONDS: Final = 30.0
_AT_ONCE: Final = 500
_ended: Final = tables.vault_destroyed
_logger: Final = logging.getLogger("lgsp.retention")


class Elsewhere:
    """Of a keeper process, while it does not lead."""

    def __init__(self, engine: Engine, vault: Vault, copy_days: int, clock: Callable[[], float] = time.time) -> None:
        self._engine: Final = engine
        self._vault: Final = vault
        self._copy_days: Final = copy_days
        self._clock: Final = clock
        self._look_at = float("-inf")

    def look(self) -> None:
        """Every `LOOK_SECONDS`; it is called more often."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        now = self._clock()
        destroy_returned(self._engine, self._vault, now)
        with self._engine.connect() as connection:
            certain = clocks.confirmed(connection, self._vault.keys, now)
        if certain:
            self._vault.keys.prune(now, self._copy_days)


def destroy_returned(engine: Engine, vault: Vault, now: float) -> None:
    """Files of a destroyed key that are there, as of another machine or in a restored folder: destroyed in every
    copy."""
    files = {name.id for name in vault.keys.names()} | vault.keys.copied()
    for key in ended_among(engine, files):
        with engine.connect() as connection:
            permitted = may_end(connection, key, now)
        if not permitted:
            continue
        _logger.warning("the key %s, which was destroyed, had a file or a copy here: destroyed too", key)
        vault.destroy(key, now)


def may_end(connection: Connection, key_id: str, now: float) -> bool:
    """Whether this key may be destroyed, whatever its row says."""
    name = KeyName.of(key_id)
    is_over = name is not None and name.due is not None and name.due <= now
    if is_over and "begun" in steps_of(connection, key_id):
        return True
    _logger.critical("the key %s was to be destroyed by a row that the log does not account for: it stays", key_id)
    return False


def steps_of(connection: Connection, key_id: str) -> dict[str, str]:
    """Which steps of a key's end the log tells of, and when each was."""
    notes = [each for each in read_notes(connection, (NOTE,)) if each.facts.get("key") == key_id]
    return {str(each.facts.get("step")): each.at for each in notes}


def ended_among(engine: Engine, key_ids: set[str]) -> list[str]:
    """Those of these keys that were destroyed, according to the database."""
    keys, ended = sorted(key_ids), list[str]()
    with engine.connect() as connection:
        for at in range(0, len(keys), _AT_ONCE):
            query = select(_ended.c.key_id).where(
                _ended.c.destroyed.is_not(None), _ended.c.key_id.in_(keys[at : at + _AT_ONCE])
            )
            ended += connection.scalars(query)
    return ended
