"""The tables of the watch over component systems (`gateway.watch`)."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text

from gateway.journal.schema.metadata import metadata

# Probes of days that have not ended. When a day has ended, its counts are entries of the log.
probe_day = Table(
    "probe_day",
    metadata,
    Column("system", Text, primary_key=True),
    Column("day", Text, primary_key=True),  # in Vietnam: 2026-11-27
    Column("probes", Integer, nullable=False),
    Column("answered", Integer, nullable=False),  # of these
)
