"""Single values that an instance keeps by key in the table `instance`: positions, marks, what was agreed.

Every value is written by one statement, so that two processes which write a first value at once both succeed.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from gateway.journal.database import insert
from gateway.journal.schema import tables

_table = tables.instance
_VALUE: Final = select(_table.c.value).where(_table.c.key == bindparam("of"))  # asked several times a second


def value_of(connection: Connection, key: str) -> str | None:
    """None if there is none of that key."""
    value: str | None = connection.scalar(_VALUE, {"of": key})
    return value


def locked_value_of(connection: Connection, key: str) -> str | None:
    """`value_of`, which nobody changes until this transaction ends. SQLite has no row locks: its writers wait anyway.

    Only a value that is there is locked.
    """
    value: str | None = connection.scalar(_VALUE.with_for_update(), {"of": key})
    return value


def keep(connection: Connection, key: str, value: str) -> None:
    """Replaces an earlier value."""
    row = insert(connection, _table).values(key=key, value=value)
    connection.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def keep_first(connection: Connection, key: str, value: str) -> bool:
    """False if there is a value, which stays."""
    row = insert(connection, _table).values(key=key, value=value).on_conflict_do_nothing().returning(_table.c.key)
    return connection.execute(row).first() is not None


def forget(connection: Connection, key: str) -> bool:
    """Whether there was a value."""
    return bool(connection.execute(delete(_table).where(_table.c.key == key)).rowcount)
