"""Adds the opaque bodies: files that documents refer to, and which transfers do."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.create_table(
        "opaque_body",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_index("opaque_body_agency", "opaque_body", ["agency", "id"])
    op.create_table(
        "opaque_use",
        sa.Column("body", sa.Text, primary_key=True),
        sa.Column("transfer", sa.Text, primary_key=True),
    )
    op.create_index("ix_opaque_use_transfer", "opaque_use", ["transfer"])


def downgrade() -> None:
    op.drop_table("opaque_use")
    op.drop_table("opaque_body")
