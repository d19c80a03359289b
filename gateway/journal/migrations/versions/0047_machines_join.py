"""Adds the machines of an instance, the keys that wait for them, and who works in which drop folder.

Programs of the release before go on with it: they leave the column of `process` NULL, and do not know the tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    op.add_column("process", sa.Column("machine", sa.Text()))
    op.create_table(
        "machine",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("thumbprint", sa.Text(), nullable=False),
        sa.Column("expires", sa.Float()),
        sa.Column("public_key", sa.Text()),
        sa.Column("proof", sa.Text()),
        sa.Column("added", sa.Float(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("host", sa.Text()),
        sa.Column("version", sa.Text()),
        sa.Column("seen", sa.Float()),
        sa.Column("ahead", sa.Float()),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("trouble", sa.Text()),
    )
    op.create_table(
        "machine_bundle",
        sa.Column("machine", sa.Text(), primary_key=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
    )
    op.create_table(
        "drop_claim",
        sa.Column("place", sa.Text(), primary_key=True),
        sa.Column("holder", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("drop_claim")
    op.drop_table("machine_bundle")
    op.drop_table("machine")
    op.drop_column("process", "machine")
