"""The registry's revision: a number that every change raises in its own transaction, so that each process sees it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from gateway.journal.values import keep, locked_value_of, value_of
from gateway.registry.seals.rows import TABLES

REVISION: Final = "registry.revision"


def revision(connection: Connection) -> int:
    """The number of changes so far; 0 for an empty registry."""
    value = value_of(connection, REVISION)
    return int(value) if value is not None else 0


def lost(connection: Connection, known: int) -> bool:
    """Whether the database has a revision no more that was committed before.

    It is read anew: a connection that shows an earlier moment does not have it yet. A revision is known (by the mark,
    or by a snapshot) only after its commit.
    """
    with connection.engine.connect() as anew:
        return revision(anew) < known


def alone(connection: Connection) -> None:
    """Lock the registry against other changes until this transaction ends, so no two changes get the same number."""
    locked_value_of(connection, REVISION)


def settle(connection: Connection) -> None:
    """Lock the registry's rows until this transaction ends, so that the compared rows are the sealed ones."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {', '.join(table.name for table in TABLES)} IN SHARE ROW EXCLUSIVE MODE"))
    alone(connection)


def raise_revision(connection: Connection) -> None:
    alone(connection)
    keep(connection, REVISION, str(revision(connection) + 1))
