"""Adds when a key of the vault was stated as lost. Programs of 0.2.0 and 0.3.0 leave it NULL, and do not read it."""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    op.add_column("vault_key_digest", sa.Column("lost", sa.Float()))


def downgrade() -> None:
    op.drop_column("vault_key_digest", "lost")
