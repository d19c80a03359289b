"""The decision of a person that this instance goes on without a synchronous standby, as a row of `instance`.

`gateway.journal.standby` obeys it, on all machines. Taking the row away waits until no local commit is under way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, delete, text

from gateway.journal.database import open_engine
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.settings.address import DatabaseAddress

KEY: Final = "standby.alone"
# Ends the waits of commits that began before: they hold locks. A role may do that to its own without any right.
END_WAITS: Final = (
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = current_user"
)


class Alone(NamedTuple):
    """Since when (Unix seconds), who decided, and why."""

    at: float
    by: str
    reason: str


def standing(connection: Connection) -> Alone | None:
    found = value_of(connection, KEY)
    return None if found is None else Alone(**json.loads(found))


def begin(connection: Connection, alone: Alone) -> None:
    """Replaces an earlier decision."""
    value = json.dumps(alone._asdict(), ensure_ascii=False)
    keep(connection, KEY, value)


def end(connection: Connection) -> bool:
    """Whether there was one."""
    return bool(connection.execute(delete(tables.instance).where(tables.instance.c.key == KEY)).rowcount)


def _end_waits(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text(END_WAITS))


@contextmanager
def writing_locally(address: DatabaseAddress) -> Iterator[Connection]:
    """One writing transaction that waits for no standby, for this decision alone. It is on the disk of the primary.

    The commits that wait for the standby end before and afterwards, so that what they have locked is free: one of them
    may be about an earlier decision.
    """
    engine = open_engine(DatabaseAddress(address, False, address.folder))
    try:
        _end_waits(engine)
        with engine.connect() as connection, connection.begin():
            connection.execute(text("SET LOCAL synchronous_commit = local"))
            yield connection
        _end_waits(engine)
    finally:
        engine.dispose()
