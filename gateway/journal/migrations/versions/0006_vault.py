"""Retention classes, holds and destroyed keys of the vault."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
