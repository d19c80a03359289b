"""Adds the history of the registry: each version of each row that the log seals."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "registry_history",
        sa.Column("of_table", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("content", sa.Text),
        sa.Column("digest", sa.Text),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("until", sa.BigInteger),
    )
    op.create_index("registry_history_until", "registry_history", ["until"])
    op.create_index("registry_history_revision", "registry_history", ["revision"])


def downgrade() -> None:
    op.drop_table("registry_history")
