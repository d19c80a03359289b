"""The tables of the console: who signs in to the people's listener, how, and what they keep there."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, Table, Text

from gateway.journal.schema.metadata import metadata

console_account = Table(
    "console_account",
    metadata,
    Column("id", Text, primary_key=True),  # the person's id; an officer's is that of `officer`
    Column("agency", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("roles", Text, nullable=False),  # JSON list
    Column("state", Text, nullable=False),  # active | disabled
    Column("password", Text),  # Argon2id, PHC string; NULL: none yet
    Column("totp", LargeBinary),  # sealed secret; NULL: none
    Column("step", BigInteger),  # last used time step of the TOTP, so that no code counts twice
    Column("failed", Integer, nullable=False),  # since the last success
    Column("locked", Float),  # until when
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
)
console_passkey = Table(
    "console_passkey",
    metadata,
    Column("id", Text, primary_key=True),  # credential id, base64url
    Column("account", Text, nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),  # COSE_Key
    Column("count", BigInteger, nullable=False),
    Column("label", Text, nullable=False),
    Column("created", Float, nullable=False),
)
console_challenge = Table(  # those of passkeys that were used, until they expire
    "console_challenge",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("expires", Float, nullable=False),
)
console_session = Table(
    "console_session",
    metadata,
    Column("digest", Text, primary_key=True),  # SHA-256 of the cookie's value, hex
    Column("account", Text, nullable=False, index=True),
    Column("how", Text, nullable=False),  # link | totp | passkey | oidc
    Column("source", Text, nullable=False),
    Column("opened", Float, nullable=False),
    Column("seen", Float, nullable=False),
    Column("expires", Float, nullable=False),
)
console_link = Table(
    "console_link",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("account", Text, nullable=False, index=True),
    Column("made_by", Text, nullable=False),
    Column("expires", Float, nullable=False),
)
console_token = Table(
    "console_token",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("account", Text, nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
)
console_filter = Table(
    "console_filter",
    metadata,
    Column("account", Text, primary_key=True),
    Column("page", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("query", Text, nullable=False),
    Column("created", Float, nullable=False),
)
console_job = Table(  # work that takes a while, which a process claims (`gateway.console.jobs`)
    "console_job",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("kind", Text, nullable=False),  # bulk-retry | connection-test | log-check
    Column("subject", Text, nullable=False),  # the system of a test; the filter of a bulk retry, JSON
    Column("state", Text, nullable=False),  # running | stopped | done
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("facts", Text, nullable=False),  # JSON object: progress and result
)
Index("console_job_kind", console_job.c.kind, console_job.c.id)
Index("console_job_state", console_job.c.state, console_job.c.kind)
console_job_item = Table(  # the messages of a bulk retry
    "console_job_item",
    metadata,
    Column("job", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("transfer", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting | ordered | skipped
    Column("tries", Integer),  # when it was ordered
    Column("failure", Text),  # why it was skipped
    Column("at", Float),
)
console_draft = Table(  # what one person hands in and a second one confirms (`gateway.console.work.drafts`)
    "console_draft",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("act", Text, nullable=False),  # publish | roll-back
    Column("contract", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("bundle", Text, nullable=False),  # digest of what comes into force
    Column("before", Text),  # digest of what was in force when it was checked
    Column("content", LargeBinary),  # the bundle; NULL: of a roll-back, decided, or expired
    Column("accepted", Text, nullable=False),  # JSON list: personal fields whose disclosure is accepted
    Column("state", Text, nullable=False),  # checked | waiting | published | rejected | withdrawn
    Column("account", Text, nullable=False),  # of who made it
    Column("actor", Text, nullable=False),  # the same, as the log names him
    Column("reason", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("decided", Float),
    Column("decided_by", Text),  # as the log names him
    Column("why", Text),  # of a rejection
    Column("seal", Text),  # keyed hash of what its maker handed in; NULL before
)
