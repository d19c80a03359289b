"""The registry as of a time."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.registry.history import opened, revision_at
from gateway.registry.snapshot import Snapshot, load_snapshot


def snapshot_at(connection: Connection, at: float) -> Snapshot:
    with opened(connection, revision_at(connection, at)) as past:
        return load_snapshot(past)
