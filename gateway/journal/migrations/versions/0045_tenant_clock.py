"""Adds the clock of a sandbox's tenant to agencies."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    op.add_column("agency", sa.Column("clock", sa.Text()))


def downgrade() -> None:
    with op.batch_alter_table("agency") as table:
        table.drop_column("clock")
