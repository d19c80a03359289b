"""Marks a database of an older release, whose routes needed no grants to receive: its first start adopts them."""

from alembic import op

revision = "0009"
down_revision = "0008"

# The key is `KEY` of `gateway.registry.changes.adopting`.


def upgrade() -> None:
    op.execute("INSERT INTO instance (key, value) SELECT 'receiving.adopt', 'due' WHERE EXISTS (SELECT 1 FROM route)")


def downgrade() -> None:
    op.execute("DELETE FROM instance WHERE key = 'receiving.adopt'")
