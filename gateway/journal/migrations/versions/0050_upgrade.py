"""Adds which program a process runs, and which older programs may start on this schema (`gateway.journal.releases`)."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0048"


def upgrade() -> None:
    op.add_column("process", sa.Column("version", sa.Text()))
    op.add_column("alembic_version", sa.Column("served", sa.Text()))


def downgrade() -> None:
    op.drop_column("alembic_version", "served")
    op.drop_column("process", "version")
