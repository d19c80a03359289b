"""Adds the order in which the state of a feed is listed."""

from alembic import op

revision = "0022"
down_revision = "0017"


def upgrade() -> None:
    op.create_index("feed_key_state", "feed_key", ["contract", "state", "transfer"])


def downgrade() -> None:
    op.drop_index("feed_key_state", "feed_key")
