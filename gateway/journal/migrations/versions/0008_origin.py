"""Adds the origins of the audit log: the logs that ended."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "log_origin",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("vkey", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("ended", sa.Float, nullable=False),
    )
    op.create_table(
        "past_entry",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("transfer", sa.Text, nullable=False, index=True),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("sequenced", sa.Float, nullable=False),
    )
    op.create_table(
        "past_tile",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("level", sa.Integer, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "past_checkpoint",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("signed", sa.Float, nullable=False),
    )


def downgrade() -> None:
    for name in ("past_checkpoint", "past_tile", "past_entry", "log_origin"):
        op.drop_table(name)
