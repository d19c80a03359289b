"""Writes log entries, or units of the journal, within the caller's own writing transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from sqlalchemy import Connection, insert

from gateway.journal.batch import together
from gateway.journal.readback import Promised
from gateway.journal.schema import tables
from gateway.journal.statements import Cursor, Statements
from gateway.journal.wakes import PENDING, announce, topics_of
from gateway.journal.write import LogRow, Write, Written


def append(connection: Connection, rows: Iterable[LogRow]) -> None:
    """Adds rows to the pending part of the log; the keeper gives them their index."""
    values = [{"transfer": row.transfer, "phase": row.phase, "entry": row.entry, "leaf": row.leaf} for row in rows]
    if values:
        connection.execute(insert(tables.log_pending), values)
        announce(connection, (PENDING,))


def apply(connection: Connection, units: Sequence[Write]) -> list[Written]:
    """Writes units of different transfers as the journal's writer does; returns the result of each."""
    announce(connection, topics_of(units))
    cursor = cast(Cursor, connection.connection.cursor())
    return together(Statements(connection.dialect.name), cursor, units, Promised()) if units else []
