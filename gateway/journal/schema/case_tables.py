"""The tables of cases between agencies (`gateway.cases`). Each row follows from entries `case` of the log."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, Table, Text

from gateway.journal.schema.metadata import metadata

agency_case = Table(
    "agency_case",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("kind", Text, nullable=False),  # of `gateway/cases/kinds.yaml`
    Column("sender", Text, nullable=False),  # an agency, or `gateway`
    Column("reference", Text),  # what it is about: `transfer:ID`, `contract:NAME`, …
    Column("answers", Integer, nullable=False),  # 1: each receiver owes an answer
    Column("opened", Text, nullable=False),  # times are RFC 3339, as in the log's entries
    Column("due", Text),
    Column("begins", Text),  # of a planned outage
    Column("ends", Text),
    Column("state", Text, nullable=False),
    Column("changed", Text, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("remind_at", Float),  # when the keeper reminds next
)
Index("agency_case_due", agency_case.c.state, agency_case.c.due)
Index("agency_case_remind", agency_case.c.remind_at)
Index("agency_case_reference", agency_case.c.reference)
agency_case_party = Table(
    "agency_case_party",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("agency", Text, primary_key=True),
    Column("role", Text, nullable=False),  # sender | receiver
    Column("acknowledged", Text),
    Column("answered", Text),
)
Index("agency_case_of", agency_case_party.c.agency, agency_case_party.c.case_id)
agency_case_step = Table(
    "agency_case_step",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("facts", Text, nullable=False),  # JSON: those of the entry
)
