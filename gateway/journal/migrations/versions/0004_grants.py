"""Adds officers, approvals, quotas, and reasons of suspensions.

The content of a grant becomes the canonical text that officers sign. Names that were typed as `approved_by` approve
nothing: older grants are proposals until two officers have signed them.
"""

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("access_grant", sa.Column("source", sa.Text()))
    op.create_table(
        "officer",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("name_vi", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("thumbprint", sa.Text(), nullable=False, unique=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
    )
    op.create_table(
        "approval",
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("officer", sa.Text(), primary_key=True),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("given", sa.Float(), nullable=False),
        sa.Column("voided", sa.Float()),
    )
    op.create_table(
        "quota_use",
        sa.Column("grant_id", sa.Text(), primary_key=True),
        sa.Column("agency", sa.Text(), primary_key=True),
        sa.Column("per", sa.Text(), primary_key=True),
        sa.Column("begins", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "notice",
        sa.Column("what", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("reason_vi", sa.Text(), nullable=False),
        sa.Column("reason_en", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("until", sa.Float()),
    )
    table = sa.table("access_grant", sa.column("id"), sa.column("body"), sa.column("source"))
    for row in op.get_bind().execute(sa.select(table.c.id, table.c.body)).all():
        body = _canonical(json.loads(row.body))
        op.execute(sa.update(table).where(table.c.id == row.id).values(body=body, source="document"))


def downgrade() -> None:
    for name in ("notice", "quota_use", "approval", "officer"):
        op.drop_table(name)
    op.drop_column("access_grant", "source")


def _canonical(old: dict[str, Any]) -> str:
    content = {
        name: value
        for name, value in old.items()
        if name not in ("approved_by", "denies", "state") and value is not None
    }
    for name in ("valid_from", "valid_until"):
        content[name] = datetime.fromtimestamp(old[name], UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    if old.get("denies"):
        content["denies"] = True
    return json.dumps(content | {"edition": 1}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
