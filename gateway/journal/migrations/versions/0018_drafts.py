"""Adds drafts of publications, which a second person confirms."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "console_draft",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("contract", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("content", sa.LargeBinary),
        sa.Column("accepted", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Column("decided", sa.Float),
        sa.Column("decided_by", sa.Text),
        sa.Column("why", sa.Text),
        sa.Column("seal", sa.Text),
    )


def downgrade() -> None:
    op.drop_table("console_draft")
