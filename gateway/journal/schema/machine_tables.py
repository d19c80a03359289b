"""The tables of the machines of an instance (`gateway.machines`)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, Table, Text

from gateway.journal.schema.metadata import metadata

machine = Table(
    "machine",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),  # invited | joining | active | draining | removed
    Column("thumbprint", Text, nullable=False),  # of the invitation's certificate; empty: the instance's first machine
    Column("expires", Float),  # of the invitation
    Column("public_key", Text),  # bundles are sealed for it (PEM, P-256)
    Column("proof", Text),  # that whoever had the invitation handed it in (hex HMAC)
    Column("added", Float, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),  # why it is drained, or was removed
    Column("host", Text),
    Column("version", Text),  # of its program
    Column("seen", Float),  # by the database's clock
    Column("ahead", Float),  # seconds by which its clock is ahead of the database's
    Column("generation", BigInteger, nullable=False),  # of the keys that it has; 0: none yet
    Column("trouble", Text),  # why it has no newer ones
)
machine_bundle = Table(  # keys that wait for a machine, sealed for it alone
    "machine_bundle",
    metadata,
    Column("machine", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("sealed", Text, nullable=False),
)
drop_claim = Table(  # which files worker works in a drop folder
    "drop_claim",
    metadata,
    Column("place", Text, primary_key=True),  # the id that lies in the folder itself
    Column("holder", Text, nullable=False),  # a process; another takes it when that one is no longer alive
)
process = Table(
    "process",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # door | files | keeper | follower
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("seen", Float, nullable=False),
    Column("state", Text, nullable=False),  # alive | ended | dead
    Column("heard", Float),  # the last beat by PostgreSQL's clock; NULL on SQLite, and of a process of 0.2.0
    Column("machine", Text),  # its name in the table `machine`; NULL of a process of 0.2.0
    Column("version", Text),  # of the program; NULL of 0.2.0
)
