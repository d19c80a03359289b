"""Adds the probes of component systems by day, and alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
_OPEN = sa.text("ended IS NULL")


def upgrade() -> None:
    op.create_table(
        "probe_day",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("day", sa.Text, primary_key=True),
        sa.Column("probes", sa.Integer, nullable=False),
        sa.Column("answered", sa.Integer, nullable=False),
    )
    op.create_table(
        "alarm",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "system", "about", "facts")),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("since", "seen")),
        *(sa.Column(name, sa.Float) for name in ("raised", "ended", "told", "told_end", "acknowledged")),
        *(sa.Column(name, sa.Text) for name in ("by", "reason")),
    )
    op.create_index(
        "alarm_open",
        "alarm",
        ["kind", "system", "about"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index("alarm_ended", "alarm", ["ended"])
    op.create_index("alarm_told", "alarm", ["told"])


def downgrade() -> None:
    op.drop_table("alarm")
    op.drop_table("probe_day")
