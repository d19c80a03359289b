"""Adds the agencies that each entry of the log concerns to the search index; older entries are indexed again.

Intents did not name the provider's agency. The agencies of all systems at this moment are kept for those entries.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "log_party",
        sa.Column("party", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger(), primary_key=True, autoincrement=False),
    )
    op.create_index("log_party_idx", "log_party", ["idx"])
    connection = op.get_bind()
    agencies = {row[0]: row[1] for row in connection.execute(sa.text("SELECT id, agency FROM system"))}
    if agencies:
        connection.execute(
            sa.text("INSERT INTO instance (key, value) VALUES ('audit.old-agencies', :agencies)"),
            {"agencies": json.dumps(agencies, sort_keys=True)},
        )
    op.execute("DELETE FROM log_indexed")


def downgrade() -> None:
    op.execute("DELETE FROM instance WHERE key = 'audit.old-agencies'")
    op.drop_table("log_party")
