"""Adds passkeys of officers, which approve, and the used challenges of passkeys."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "officer_passkey",
        sa.Column("thumbprint", sa.Text, primary_key=True),
        sa.Column("officer", sa.Text, nullable=False),
        sa.Column("credential", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
    )
    op.create_table(
        "console_challenge",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("expires", sa.Float, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("console_challenge")
    op.drop_table("officer_passkey")
