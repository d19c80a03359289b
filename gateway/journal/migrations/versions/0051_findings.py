"""Adds what stands in the way of the gateway itself, and who was told of it.

Programs of 0.2.0 go on with it: they do not know the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0046"


def upgrade() -> None:
    op.create_table(
        "finding",
        *(
            sa.Column(name, sa.Text(), primary_key=name == "id", nullable=False)
            for name in ("id", "machine", "code", "about")
        ),
        sa.Column("grave", sa.Boolean(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("since", "stands", "seen")),
        sa.Column("gone", sa.Float()),
        sa.Column("flaps", sa.Integer(), nullable=False),
        *(
            sa.Column(name, sa.Float())
            for name in ("raised", "ended", "told", "told_flapping", "told_end", "acknowledged")
        ),
        sa.Column("by", sa.Text()),
        sa.Column("reason", sa.Text()),
    )
    is_open = sa.text("ended IS NULL")
    op.create_index(
        "finding_open",
        "finding",
        ["machine", "code", "about"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("finding_ended", "finding", ["ended"])


def downgrade() -> None:
    op.drop_table("finding")
