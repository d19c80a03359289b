"""Adds what stood under a business key before, so that the state of a feed at a past time is known."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "feed_key_past",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("contract", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("transfer", sa.Text, nullable=False),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("changed", sa.Text, primary_key=True),
        sa.Column("previous", sa.Text),
        sa.Column("seal", sa.Text, nullable=False),
        sa.Column("replaced", sa.Text, nullable=False),
    )
    op.create_index("feed_key_past_state", "feed_key_past", ["contract", "state", "transfer"])
    if op.get_bind().execute(sa.text("SELECT 1 FROM feed_key LIMIT 1")).first() is not None:
        since = sa.text("INSERT INTO instance (key, value) VALUES ('feed.history', :value)")
        op.get_bind().execute(since, {"value": repr(time.time())})


def downgrade() -> None:
    op.execute("DELETE FROM instance WHERE key LIKE 'feed.history%'")
    op.drop_table("feed_key_past")
