"""Adds to routes the agencies that handle a message, in which hours, and who outside them."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"

_COLUMNS = ("agencies", "hours", "outside")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("route", sa.Column(name, sa.Text()))


def downgrade() -> None:
    with op.batch_alter_table("route") as table:
        for name in _COLUMNS:
            table.drop_column(name)
