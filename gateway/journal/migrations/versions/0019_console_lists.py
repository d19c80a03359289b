"""Indexes what the pages of the console list: acts of a person by the id, lists of the queue, notes of the log.

The digest of an actor is that of the id in the name. Only rows of entries that name an actor change, so that the log is
not indexed again.
"""

import json
import re
from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_ACTOR = re.compile(r"[^/\s]+/([^/\s:]+)(?:: .*)?", re.DOTALL)
_AT_ONCE = 2_000


_NOTES = sa.text("phase NOT IN ('intent', 'outcome', 'refusal')")


def upgrade() -> None:
    op.create_index("transfer_state", "transfer", ["state", "id"])
    op.drop_index("transfer_open", "transfer")
    op.create_index("queue_provider", "queue", ["state", "provider", "transfer"])
    op.create_index("log_note", "log_entry", ["phase", "idx"], sqlite_where=_NOTES, postgresql_where=_NOTES)
    _rename_actors()


def _rename_actors() -> None:
    connection, after = op.get_bind(), -1
    page = sa.text(
        "SELECT i.idx, e.entry FROM log_index i JOIN log_entry e ON e.idx = i.idx"
        " WHERE i.idx > :after AND i.actor IS NOT NULL ORDER BY i.idx LIMIT :most"
    )
    while rows := connection.execute(page, {"after": after, "most": _AT_ONCE}).all():
        after = rows[-1][0]
        named = [(row[0], _ACTOR.fullmatch(str(json.loads(bytes(row[1]))["actor"]))) for row in rows]
        if changed := [{"idx": idx, "actor": _word(match[1])} for idx, match in named if match is not None]:
            connection.execute(sa.text("UPDATE log_index SET actor = :actor WHERE idx = :idx"), changed)


def downgrade() -> None:
    op.drop_index("log_note", "log_entry")
    op.drop_index("queue_provider", "queue")
    op.create_index("transfer_open", "transfer", ["state", "process"])
    op.drop_index("transfer_state", "transfer")
    op.execute("DELETE FROM log_indexed")  # the keeper indexes the log again


def _word(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big", signed=True)
