"""Adds what several machines compare: when a process beat by the database's clock, and digests of the vault's keys.

Programs of 0.2.0 go on with it: they leave the column NULL, and do not know the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    op.add_column("process", sa.Column("heard", sa.Float()))
    op.create_table(
        "vault_key_digest",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("vault_key_digest")
    op.drop_column("process", "heard")
