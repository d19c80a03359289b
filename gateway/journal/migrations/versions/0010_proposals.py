"""Adds proposals of the registry's content, which two officers approve."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "registry_proposal",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("edition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("standing", sa.Text, nullable=False),
        sa.Column("proposed", sa.Float, nullable=False),
        sa.Column("decided", sa.Float),
    )


def downgrade() -> None:
    op.drop_table("registry_proposal")
