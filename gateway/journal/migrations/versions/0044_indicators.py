"""Adds the definitions of indicators to the registry."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0037"


def upgrade() -> None:
    op.create_table(
        "indicator",
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("indicator")
