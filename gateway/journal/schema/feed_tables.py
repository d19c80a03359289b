"""The tables of feeds (`gateway.feeds`): what waits for the sequencer, events, and what stands by business keys."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Table, Text

from gateway.journal.schema.metadata import AUTO, metadata

feed_pending = Table(
    "feed_pending",
    metadata,
    Column("id", AUTO, primary_key=True, autoincrement=True),
    Column("contract", Text, nullable=False),
    Column("transfer", Text, nullable=False, unique=True),
    Column("event", Text, nullable=False),  # CloudEvents attributes without data
    Column("body_ref", Text, nullable=False),  # vault id of the canonical message
)
feed_event = Table(
    "feed_event",
    metadata,
    Column("contract", Text, primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("transfer", Text, nullable=False, unique=True),
    Column("event", Text, nullable=False),
    Column("body_ref", Text, nullable=False),
    Column("sequenced", Float, nullable=False),
)
feed_key = Table(  # what stands under each business key of a feed (`gateway.feeds.keys`)
    "feed_key",
    metadata,
    Column("key", Text, primary_key=True),  # keyed hash of contract, operation, scope and business key
    Column("contract", Text, nullable=False),
    Column("content", Text, nullable=False),  # keyed hash of the content under the key
    Column("reference", Text, nullable=False),  # keyed hash of what later messages name it by
    Column("transfer", Text, nullable=False),  # that handed the content in
    Column("agency", Text, nullable=False),  # of its caller
    Column("state", Text, nullable=False),  # live | superseded | recalled | notice
    Column("changed", Text, nullable=False),  # the transfer that changed the row last
    Column("previous", Text),  # the transfer that changed it before; NULL: it was new
    Column("seal", Text, nullable=False),  # keyed hash of the other columns
)
Index("feed_key_state", feed_key.c.contract, feed_key.c.state, feed_key.c.transfer)
feed_key_past = Table(  # rows of `feed_key` as they were before another message changed them
    "feed_key_past",
    metadata,
    Column("key", Text, primary_key=True),
    Column("contract", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("transfer", Text, nullable=False),
    Column("agency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed", Text, primary_key=True),
    Column("previous", Text),
    Column("seal", Text, nullable=False),
    Column("replaced", Text, nullable=False),  # the transfer that changed it
)
Index("feed_key_past_state", feed_key_past.c.contract, feed_key_past.c.state, feed_key_past.c.transfer)
feed_keyed = Table(  # how far older events were taken up into `feed_key`
    "feed_keyed",
    metadata,
    Column("contract", Text, primary_key=True),
    Column("upto", BigInteger, nullable=False),  # the offset of the last event that was looked at
    Column("rules", Text, nullable=False),  # digest of the contract's identities
)
feed_expiry = Table(  # when the content of events ends that still holds (`gateway.feeds.expiry`)
    "feed_expiry",
    metadata,
    Column("transfer", Text, primary_key=True),  # that handed the content in
    Column("contract", Text, nullable=False),
    Column("expires", Float, nullable=False),
)
Index("feed_expiry_next", feed_expiry.c.expires)
