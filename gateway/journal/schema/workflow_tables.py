"""The tables of handlings (`gateway.workflow`): how messages are handled, and each step of it.

All columns of `handling` but `seal`, `next_at` and `told`, and all of `handling_step`, follow from entries of the log
(`gateway.transfer.handling_events`).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text

from gateway.journal.schema.metadata import metadata

handling = Table(
    "handling",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("contract", Text, nullable=False),  # "<contract>/v<major>"
    Column("operation", Text, nullable=False),
    Column("bundle", Text, nullable=False),  # digest of the contract whose workflow it follows
    Column("transfer", Text, nullable=False),  # that handed the message in
    Column("message", Text, nullable=False),  # keyed hash of the message's id, as in its intent
    Column("agency", Text, nullable=False),  # that handles it now
    Column("system", Text),  # of that agency; NULL: none is named
    Column("sender_agency", Text, nullable=False),
    Column("sender_system", Text, nullable=False),
    Column("kind", Text, nullable=False),  # codes with spaces between them
    Column("area", Text, nullable=False),  # the same
    Column("state", Text, nullable=False),
    Column("ended", Boolean, nullable=False),  # whether its state ends the handling
    Column("opened", Float, nullable=False),
    Column("entered", Float, nullable=False),  # when its state was entered
    Column("due", BigInteger),  # Unix seconds by which the state must be left; NULL: no deadline runs
    Column("whole_due", BigInteger),  # by which it must have ended
    Column("nearest", BigInteger, nullable=False),  # the earlier of the two; far away if none runs
    Column("merged_into", Text),
    Column("version", Integer, nullable=False),  # number of its last step
    Column("seal", Text, nullable=False),  # keyed hash of the other columns
    Column("next_at", BigInteger, nullable=False),  # when the next of its notices is due
    Column("told", Integer, nullable=False),  # how many notices of its deadlines were told
)
Index("handling_transfer", handling.c.transfer)
Index("handling_message", handling.c.message)
Index("handling_nearest", handling.c.nearest, handling.c.id)
Index("handling_agency", handling.c.agency, handling.c.nearest, handling.c.id)
Index("handling_next", handling.c.next_at)
handling_step = Table(
    "handling_step",
    metadata,
    Column("handling", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("step", Text, nullable=False),  # of the workflow, or one of the gateway's own: @open, @update
    Column("source", Text, nullable=False),  # the state before; empty for the first
    Column("target", Text, nullable=False),
    Column("party", Text, nullable=False),  # agency | sender | centre | gateway
    Column("agency", Text, nullable=False),  # of whoever took it; empty for the gateway
    Column("actor", Text, nullable=False),
    Column("reason", Text),  # keyed hash; the text is in the sealed body of its event
    Column("at", Float, nullable=False),
    Column("transfer", Text),  # that reported it, or that corrects the message
)
Index("handling_step_transfer", handling_step.c.transfer)
