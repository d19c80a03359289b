"""Adds push: subscriptions to feeds, their tries, the keys that sign for them."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "push_subscription",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("contract", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("most", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("verified", sa.Float),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("changed", sa.Float, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("reached", sa.BigInteger, nullable=False),
        sa.Column("replays", sa.Integer, nullable=False),
        sa.Column("upto", sa.BigInteger),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("failing", sa.Float),
        sa.Column("failure", sa.Text),
        sa.Column("taken", sa.Float),
    )
    op.create_index("push_subscription_state", "push_subscription", ["state", "next_at"])
    op.create_index("push_subscription_system", "push_subscription", ["system", "id"])
    op.create_table(
        "push_attempt",
        sa.Column("subscription", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("milliseconds", sa.Integer, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("failure", sa.Text),
    )
    op.create_table(
        "push_key",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("made", sa.Float, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("push_key")
    op.drop_table("push_attempt")
    op.drop_index("push_subscription_system", "push_subscription")
    op.drop_index("push_subscription_state", "push_subscription")
    op.drop_table("push_subscription")
