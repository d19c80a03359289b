"""The table of reports (`gateway.reports`)."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, LargeBinary, Table, Text, UniqueConstraint

from gateway.journal.schema.metadata import metadata

report = Table(
    "report",
    metadata,
    Column("id", Text, primary_key=True),  # of the entry of the log, which has the digest of the figures
    Column("first", Text, nullable=False),  # days in Vietnam: 2026-11-01
    Column("last", Text, nullable=False),
    Column("agency", Text, nullable=False),  # empty: the whole instance
    Column("edition", Integer, nullable=False),
    Column("made", Float, nullable=False),
    Column("figures", LargeBinary, nullable=False),  # canonical JSON
    UniqueConstraint("first", "last", "agency", "edition", name="one_edition"),
)
