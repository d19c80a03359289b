"""Adds the pinned minor version of each system, one bundle per version of a contract, and withdrawn bundles."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("system", sa.Column("versions", sa.Text()))
    op.add_column("bundle", sa.Column("withdrawn", sa.Boolean()))
    op.create_index("one_version", "bundle", ["contract", "version"], unique=True)


def downgrade() -> None:
    op.drop_index("one_version", table_name="bundle")
    op.drop_column("bundle", "withdrawn")
    op.drop_column("system", "versions")
