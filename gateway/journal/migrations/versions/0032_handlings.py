"""Adds the handlings of messages and their steps."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.create_table(
        "handling",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("contract", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("transfer", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("system", sa.Text),
        sa.Column("sender_agency", sa.Text, nullable=False),
        sa.Column("sender_system", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("area", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("opened", sa.Float, nullable=False),
        sa.Column("entered", sa.Float, nullable=False),
        sa.Column("due", sa.BigInteger),
        sa.Column("whole_due", sa.BigInteger),
        sa.Column("nearest", sa.BigInteger, nullable=False),
        sa.Column("merged_into", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("told", sa.Integer, nullable=False),
    )
    op.create_index("handling_transfer", "handling", ["transfer"])
    op.create_index("handling_message", "handling", ["message"])
    op.create_index("handling_nearest", "handling", ["nearest", "id"])
    op.create_index("handling_agency", "handling", ["agency", "nearest", "id"])
    op.create_index("handling_next", "handling", ["next_at"])
    op.create_table(
        "handling_step",
        sa.Column("handling", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("party", sa.Text, nullable=False),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("transfer", sa.Text),
    )
    op.create_index("handling_step_transfer", "handling_step", ["transfer"])


def downgrade() -> None:
    op.drop_table("handling_step")
    op.drop_table("handling")
