"""Adds the figures of reports."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0034"


def upgrade() -> None:
    op.create_table(
        "report",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("first", sa.Text, nullable=False),
        sa.Column("last", sa.Text, nullable=False),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("edition", sa.Integer, nullable=False),
        sa.Column("made", sa.Float, nullable=False),
        sa.Column("figures", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("first", "last", "agency", "edition", name="one_edition"),
    )


def downgrade() -> None:
    op.drop_table("report")
