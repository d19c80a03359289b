"""Adds contacts of systems, outside authorities, the status of certificates, and our own revocation lists."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_KEY = (
    ("algorithm", sa.Text()),
    ("authority", sa.Text()),
    ("stated", sa.Boolean()),
    ("revoked", sa.Float()),
    ("reason", sa.Text()),
)


def upgrade() -> None:
    op.add_column("system", sa.Column("contact", sa.Text()))
    for name, kind in _KEY:
        op.add_column("system_key", sa.Column(name, kind))
    op.create_table(
        "outside_authority",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("uses", sa.Text(), nullable=False),
        sa.Column("certificates", sa.Text(), nullable=False),
        sa.Column("crl", sa.Text(), nullable=False),
        sa.Column("ocsp", sa.Text()),
        sa.Column("grace", sa.Float(), nullable=False),
    )
    op.create_table(
        "certificate_status",
        sa.Column("thumbprint", sa.Text(), primary_key=True),
        sa.Column("source", sa.Text(), primary_key=True),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("this_update", sa.Float(), nullable=False),
        sa.Column("next_update", sa.Float(), nullable=False),
        sa.Column("revoked", sa.Float()),
        sa.Column("reason", sa.Text()),
        sa.Column("digest", sa.Text(), nullable=False),
    )
    op.create_table(
        "revocation_list",
        sa.Column("issuer", sa.Text(), primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("this_update", sa.Float(), nullable=False),
        sa.Column("next_update", sa.Float(), nullable=False),
        sa.Column("crl", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    for table in ("revocation_list", "certificate_status", "outside_authority"):
        op.drop_table(table)
    for name, _ in reversed(_KEY):
        op.drop_column("system_key", name)
    op.drop_column("system", "contact")
