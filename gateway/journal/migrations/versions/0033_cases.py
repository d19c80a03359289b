"""Adds the cases between agencies."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.create_table(
        "agency_case",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("answers", sa.Integer, nullable=False),
        sa.Column("opened", sa.Text, nullable=False),
        sa.Column("due", sa.Text),
        sa.Column("begins", sa.Text),
        sa.Column("ends", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("changed", sa.Text, nullable=False),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("remind_at", sa.Float),
    )
    op.create_index("agency_case_due", "agency_case", ["state", "due"])
    op.create_index("agency_case_remind", "agency_case", ["remind_at"])
    op.create_index("agency_case_reference", "agency_case", ["reference"])
    op.create_table(
        "agency_case_party",
        sa.Column("case_id", sa.Text, primary_key=True),
        sa.Column("agency", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("acknowledged", sa.Text),
        sa.Column("answered", sa.Text),
    )
    op.create_index("agency_case_of", "agency_case_party", ["agency", "case_id"])
    op.create_table(
        "agency_case_step",
        sa.Column("case_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("agency_case_step", "agency_case_party", "agency_case"):
        op.drop_table(table)
