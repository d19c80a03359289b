"""The tables of push (`gateway.push`): subscriptions to feeds, their tries, the keys that sign for them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, Table, Text

from gateway.journal.schema.metadata import metadata

push_subscription = Table(
    "push_subscription",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("system", Text, nullable=False),
    Column("contract", Text, nullable=False),  # "<contract>/v<major>"
    Column("url", Text, nullable=False),
    Column("form", Text, nullable=False),  # webhooks | rfc9421
    Column("most", Integer, nullable=False),  # events of one delivery
    Column("state", Text, nullable=False),  # unverified | active | paused | ended
    Column("cause", Text, nullable=False),  # who paused or ended it: subscriber | operator | receiver | dead; or empty
    Column("verified", Float),  # when its receiver proved to own the URL; NULL: not yet
    Column("revision", Integer, nullable=False),  # raised by each act
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("seal", Text, nullable=False),  # keyed hash of the columns above
    Column("position", BigInteger, nullable=False),  # offset of the last event that was taken
    Column("reached", BigInteger, nullable=False),  # the furthest position ever: events up to it were taken before
    Column("replays", Integer, nullable=False),
    Column("upto", BigInteger),  # offset of the last event of the delivery under way
    Column("mark", Text, nullable=False),  # keyed hash of id and the four columns above
    Column("next_at", Float, nullable=False),
    Column("tries", Integer, nullable=False),  # of the delivery under way
    Column("failing", Float),  # since when; NULL: it is not
    Column("failure", Text),  # code of the last failure
    Column("taken", Float),  # when a delivery was taken last
)
Index("push_subscription_state", push_subscription.c.state, push_subscription.c.next_at)
Index("push_subscription_system", push_subscription.c.system, push_subscription.c.id)
push_attempt = Table(  # the newest tries of each subscription
    "push_attempt",
    metadata,
    Column("subscription", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("delivery", Text, nullable=False),  # the webhook-id
    Column("events", Integer, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("status", Integer),  # of the receiver's answer
    Column("failure", Text),
)
push_key = Table(
    "push_key",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("made", Float, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the seed (Ed25519) with number and time, `security.seal`
)
