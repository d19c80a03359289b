"""Which files worker works in a drop folder, where several machines share it: a row by the id in the folder itself.

A folder that lies on one machine alone has an id of its own, and is worked there. Another process takes a folder when
its holder is no longer alive in the table of processes. From then on the journal fences the holder, so no file is
taken twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine, delete, select, update

from gateway.journal.database import insert, writing
from gateway.journal.schema import tables

ASK_SECONDS: Final = 2.0
_table = tables.drop_claim


class DropClaims:
    """Of one files worker. Used by one thread at a time."""

    def __init__(self, engine: Engine, process_id: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._process, self._monotonic = engine, process_id, monotonic
        self._mine: set[str] = set()
        self._asked: dict[str, float] = {}  # places of others: when they were last asked for

    @classmethod
    def of(cls, engine: Engine, process_id: str) -> DropClaims | None:
        """None for SQLite, which is of one machine."""
        return cls(engine, process_id) if engine.dialect.name == "postgresql" else None

    def hold(self, place: str) -> bool:
        """Whether this process works in that folder. Asks for one of another at most every two seconds."""
        if place in self._mine:
            return True
        now = self._monotonic()
        if now - self._asked.get(place, float("-inf")) < ASK_SECONDS:
            return False
        self._asked[place] = now
        if self._take(place):
            self._mine.add(place)
        return place in self._mine

    def release(self) -> None:
        """Lets others have all of them."""
        if self._mine:
            with writing(self._engine) as connection:
                connection.execute(delete(_table).where(_table.c.holder == self._process))
            self._mine.clear()

    def _take(self, place: str) -> bool:
        process = tables.process.c
        with writing(self._engine) as connection:
            row = insert(connection, _table).values(place=place, holder=self._process)
            connection.execute(row.on_conflict_do_nothing())
            holder = connection.scalar(select(_table.c.holder).where(_table.c.place == place).with_for_update())
            if holder == self._process:
                return True
            if connection.scalar(select(process.state).where(process.id == holder)) == "alive":
                return False
            connection.execute(update(_table).where(_table.c.place == place).values(holder=self._process))
            return True
