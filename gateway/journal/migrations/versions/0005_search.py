"""Adds the search index of the audit log, which the keeper fills from the entries."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

COLUMNS = (
    *("about", "message", "kind", "outcome", "trouble", "failure", "agency", "system", "provider", "contract"),
    *("operation", "access_grant", "actor"),
)
WIDE = ("about", "message")
ALWAYS = ("about", "kind", "trouble")


def upgrade() -> None:
    op.create_table(
        "log_index",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        *[
            sa.Column(name, sa.BigInteger() if name in WIDE else sa.Integer(), nullable=name not in ALWAYS)
            for name in COLUMNS
        ],
    )
    for name in COLUMNS:
        op.create_index(f"log_index_{name}", "log_index", [name, "idx"])
    op.create_table(
        "log_indexed",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.LargeBinary()),
    )


def downgrade() -> None:
    op.drop_table("log_indexed")
    op.drop_table("log_index")
