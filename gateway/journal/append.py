"""Putting log entries beside a change that is made in a transaction of one's own (registry, contracts), so that both stand or neither."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, insert

from gateway.journal.schema import tables
from gateway.journal.write import LogRow


def append(connection: Connection, rows: Iterable[LogRow]) -> None:
    """Into the pending part of the log; the keeper gives them their index."""
    values = [{"transfer": row.transfer, "phase": row.phase, "entry": row.entry, "leaf": row.leaf} for row in rows]
    if values:
        connection.execute(insert(tables.log_pending), values)
