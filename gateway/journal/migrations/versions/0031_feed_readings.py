"""Indexes the readings of feeds by reader and feed, so that one statement finds the places of all readers."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"

_READINGS = sa.text("kind = -480512881")  # the digest of `feed-read`


def upgrade() -> None:
    op.create_index(
        "log_index_readings",
        "log_index",
        ["system", "contract", "idx"],
        sqlite_where=_READINGS,
        postgresql_where=_READINGS,
    )


def downgrade() -> None:
    op.drop_index("log_index_readings", "log_index")
