"""Adds the probes of component systems by day."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.create_table(
        "probe_day",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("day", sa.Text, primary_key=True),
        sa.Column("probes", sa.Integer, nullable=False),
        sa.Column("answered", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("probe_day")
