"""Adds the jobs of the console, and the order in which the queue is listed."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "console_job",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("changed", sa.Float, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_index("console_job_kind", "console_job", ["kind", "id"])
    op.create_index("console_job_state", "console_job", ["state", "kind"])
    op.create_table(
        "console_job_item",
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("transfer", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer),
        sa.Column("failure", sa.Text),
        sa.Column("at", sa.Float),
    )
    op.create_index("queue_state", "queue", ["state", "transfer"])


def downgrade() -> None:
    op.drop_index("queue_state", "queue")
    op.drop_table("console_job_item")
    op.drop_table("console_job")
