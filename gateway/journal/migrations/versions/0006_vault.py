"""Adds legal holds, destroyed keys, and an index of the vault by key."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("vault_key", "vault", ["key_id"])
    op.create_table(
        "vault_destroyed",
        sa.Column("key_id", sa.Text(), primary_key=True),
        sa.Column("began", sa.Float(), nullable=False),
        sa.Column("destroyed", sa.Float()),
        sa.Column("bodies", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "vault_hold",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("released", sa.Float()),
        sa.Column("sealed", sa.Float()),
        sa.Column("transfers", sa.Text()),
        sa.Column("agency", sa.Text()),
        sa.Column("contract", sa.Text()),
        sa.Column("begins", sa.Float()),
        sa.Column("ends", sa.Float()),
    )


def downgrade() -> None:
    op.drop_table("vault_hold")
    op.drop_table("vault_destroyed")
    op.drop_index("vault_key", "vault")
