"""The table of the queue: what waits to be forwarded, in which order, and whom to call back at its end."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text, text

from gateway.journal.schema.metadata import metadata

_ORDERED: Final = text("order_key IS NOT NULL")
_CALLED: Final = text("callback IS NOT NULL")

queue = Table(
    "queue",
    metadata,
    Column("transfer", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("body_ref", Text, nullable=False),  # vault id of the canonical message
    Column("state", Text, nullable=False),  # waiting | leased | held | done | dead
    Column("tries", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("epoch", BigInteger),
    Column("last_failure", Text),
    Column("priority", Integer, nullable=False, server_default="5"),  # those with a lower one go first
    Column("order_key", Text),  # keyed hash: messages with one key go one after the other; NULL: in any order
    Column("place", BigInteger, nullable=False, server_default="0"),  # in the order of its key
    Column("callback", Text),  # wanted | done | dead: the note to the sender that it ended; NULL: there is none
    Column("callback_tries", Integer, nullable=False, server_default="0"),
    Column("callback_at", Float, nullable=False, server_default="0"),  # of the next try
    Column("callback_failure", Text),
)
Index("queue_due", queue.c.state, queue.c.next_at)
Index("queue_state", queue.c.state, queue.c.transfer)
Index("queue_next", queue.c.state, queue.c.provider, queue.c.priority, queue.c.next_at)
Index(
    "queue_order",
    queue.c.order_key,
    queue.c.state,
    queue.c.place,
    sqlite_where=_ORDERED,
    postgresql_where=_ORDERED,
)
Index("queue_place", queue.c.order_key, queue.c.place, sqlite_where=_ORDERED, postgresql_where=_ORDERED)
Index(
    "queue_callback",
    queue.c.callback,
    queue.c.state,
    queue.c.callback_at,
    sqlite_where=_CALLED,
    postgresql_where=_CALLED,
)
Index("queue_provider", queue.c.state, queue.c.provider, queue.c.transfer)
