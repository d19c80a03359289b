"""Adds when the content of events ends. Events of earlier releases are passed over."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "feed_expiry",
        sa.Column("transfer", sa.Text, primary_key=True),
        sa.Column("contract", sa.Text, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
    op.create_index("feed_expiry_next", "feed_expiry", ["expires"])
    op.execute(
        "INSERT INTO instance (key, value)"
        " SELECT 'feed.expiry ' || contract, CAST(MAX(\"offset\") AS TEXT) FROM feed_event GROUP BY contract"
    )


def downgrade() -> None:
    op.execute("DELETE FROM instance WHERE key LIKE 'feed.expiry %'")
    op.drop_table("feed_expiry")
