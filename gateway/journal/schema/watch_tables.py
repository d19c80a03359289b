"""The tables of the watch over component systems and over the gateway itself (`gateway.watch`)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Float, Index, Integer, Table, Text, text

from gateway.journal.schema.metadata import metadata

_OPEN: Final = text("ended IS NULL")

# Probes of days that have not ended. When a day has ended, its counts are entries of the log.
probe_day = Table(
    "probe_day",
    metadata,
    Column("system", Text, primary_key=True),
    Column("day", Text, primary_key=True),  # in Vietnam: 2026-11-27
    Column("probes", Integer, nullable=False),
    Column("answered", Integer, nullable=False),  # of these
)

alarm = Table(
    "alarm",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("kind", Text, nullable=False),  # down | queue | certificate | due | late | conform
    Column("system", Text, nullable=False),  # whose owner has to act
    Column("about", Text, nullable=False),  # what of the system; empty: the system itself
    Column("facts", Text, nullable=False),  # JSON: what its text is filled with
    Column("since", Float, nullable=False),  # since when it is so
    Column("seen", Float, nullable=False),  # when it was first seen
    Column("raised", Float),  # NULL: it may pass by itself
    Column("ended", Float),
    Column("told", Float),  # when the contact was told that it began
    Column("told_end", Float),  # the same of its end
    Column("acknowledged", Float),
    Column("by", Text),  # who acknowledged it
    Column("reason", Text),  # why
)
Index(
    "alarm_open", alarm.c.kind, alarm.c.system, alarm.c.about, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
)
Index("alarm_ended", alarm.c.ended)
Index("alarm_told", alarm.c.told)

finding = Table(
    "finding",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("machine", Text, nullable=False),  # whose keeper sees it; empty: of the instance as a whole
    Column("code", Text, nullable=False),  # of the doctor's findings, or alarm.<kind>
    Column("about", Text, nullable=False),  # which of several of that code; empty: there is one
    Column("grave", Boolean, nullable=False),
    Column("said", Text, nullable=False),  # JSON: what, and what next, in both languages, as it was seen last
    Column("since", Float, nullable=False),
    Column("stands", Float, nullable=False),  # since when it has stood without a break
    Column("seen", Float, nullable=False),
    Column("gone", Float),  # since when it is not seen any more; it may come back
    Column("flaps", Integer, nullable=False),  # how often it came back
    Column("raised", Float),  # NULL: it may pass by itself
    Column("ended", Float),
    Column("told", Float),  # when operators were told last that it stands
    Column("told_flapping", Float),
    Column("told_end", Float),
    Column("acknowledged", Float),
    Column("by", Text),  # who acknowledged it
    Column("reason", Text),  # why
)
Index(
    "finding_open",
    finding.c.machine,
    finding.c.code,
    finding.c.about,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index("finding_ended", finding.c.ended)
