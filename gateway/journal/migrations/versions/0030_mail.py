"""Adds the notices by e-mail to contacts."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "mail",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("made", sa.Float, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("ended", sa.Float),
        sa.Column("failure", sa.Text),
    )
    op.create_index("mail_due", "mail", ["state", "next_at"])
    op.create_index("mail_about", "mail", ["about", "made"])


def downgrade() -> None:
    op.drop_table("mail")
