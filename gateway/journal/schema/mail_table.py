"""The table of notices by e-mail (`gateway.notices`)."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, Table, Text

from gateway.journal.schema.metadata import metadata

mail = Table(
    "mail",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("kind", Text, nullable=False),  # what it tells: the words of `gateway/notices/words.yaml`
    Column("about", Text, nullable=False),  # the id of what it tells of
    Column("system", Text, nullable=False),  # whose contact is told: a system, or the code of an agency
    Column("facts", Text, nullable=False),  # JSON: what its text is filled with
    Column("made", Float, nullable=False),
    Column("state", Text, nullable=False),  # waiting | sent | failed
    Column("tries", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("ended", Float),  # when it was sent, or given up
    Column("failure", Text),  # code of the last failure
)
Index("mail_due", mail.c.state, mail.c.next_at)
Index("mail_about", mail.c.about, mail.c.made)
