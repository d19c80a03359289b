"""Adds what lists the transfers of a system, and how the queue orders, prefers and tells the sender.

- Indexes of the transfers by sender and by receiver.
- `queue`: priority, the key in whose order messages are delivered, and the callback to the sender's system.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def _where(column: str) -> dict[str, Any]:
    """Only the rows that have it: the others need no entry."""
    return {f"{each}_where": sa.text(f"{column} IS NOT NULL") for each in ("sqlite", "postgresql")}


def upgrade() -> None:
    op.create_index("transfer_caller", "transfer", ["caller_system", "id"])
    op.create_index("transfer_provider", "transfer", ["provider", "id"])
    op.add_column("queue", sa.Column("priority", sa.Integer(), nullable=False, server_default="5"))
    op.add_column("queue", sa.Column("order_key", sa.Text(), nullable=True))
    op.add_column("queue", sa.Column("place", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("queue", sa.Column("callback", sa.Text(), nullable=True))
    op.add_column("queue", sa.Column("callback_tries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("queue", sa.Column("callback_at", sa.Float(), nullable=False, server_default="0"))
    op.add_column("queue", sa.Column("callback_failure", sa.Text(), nullable=True))
    op.create_index("queue_next", "queue", ["state", "provider", "priority", "next_at"])
    op.create_index("queue_order", "queue", ["order_key", "state", "place"], **_where("order_key"))
    op.create_index("queue_place", "queue", ["order_key", "place"], **_where("order_key"))
    op.create_index("queue_callback", "queue", ["callback", "state", "callback_at"], **_where("callback"))


def downgrade() -> None:
    for name in ("queue_callback", "queue_place", "queue_order", "queue_next"):
        op.drop_index(name, "queue")
    for name in (
        "callback_failure", "callback_at", "callback_tries", "callback", "place", "order_key", "priority",
    ):  # fmt: skip
        op.drop_column("queue", name)
    op.drop_index("transfer_provider", "transfer")
    op.drop_index("transfer_caller", "transfer")
