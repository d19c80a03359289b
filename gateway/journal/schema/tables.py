"""The tables of the database, for SQLite and PostgreSQL; the migrations in `migrations/` create this form.

Invariants:
- Only the leading keeper writes rows of `log_entry` and `feed_event`, in one transaction that checks its epoch. Readers
  see only those.
- Ids of `*_pending` rows are no order (on PostgreSQL a cursor over them loses rows): only `idx` and `offset` are.
- Bodies are stored in `vault` only; other tables hold its ids.

Times are Unix seconds as floats, digests raw bytes, structured values JSON text.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.journal.schema.case_tables import agency_case as agency_case
from gateway.journal.schema.case_tables import agency_case_party as agency_case_party
from gateway.journal.schema.case_tables import agency_case_step as agency_case_step
from gateway.journal.schema.console_tables import (
    console_account as console_account,
)
from gateway.journal.schema.console_tables import (
    console_filter as console_filter,
)
from gateway.journal.schema.console_tables import (
    console_link as console_link,
)
from gateway.journal.schema.console_tables import (
    console_passkey as console_passkey,
)
from gateway.journal.schema.console_tables import (
    console_session as console_session,
)
from gateway.journal.schema.console_tables import (
    console_token as console_token,
)
from gateway.journal.schema.feed_tables import feed_event as feed_event
from gateway.journal.schema.feed_tables import feed_expiry as feed_expiry
from gateway.journal.schema.feed_tables import feed_key as feed_key
from gateway.journal.schema.feed_tables import feed_key_past as feed_key_past
from gateway.journal.schema.feed_tables import feed_keyed as feed_keyed
from gateway.journal.schema.feed_tables import feed_pending as feed_pending
from gateway.journal.schema.machine_tables import drop_claim as drop_claim
from gateway.journal.schema.machine_tables import machine as machine
from gateway.journal.schema.machine_tables import machine_bundle as machine_bundle
from gateway.journal.schema.machine_tables import process as process
from gateway.journal.schema.mail_table import mail as mail
from gateway.journal.schema.metadata import AUTO
from gateway.journal.schema.metadata import NOTES as NOTES
from gateway.journal.schema.metadata import READINGS as READINGS
from gateway.journal.schema.metadata import metadata as metadata
from gateway.journal.schema.push_tables import push_subscription as push_subscription
from gateway.journal.schema.queue_table import queue as queue
from gateway.journal.schema.registry_tables import (
    access_grant as access_grant,
)
from gateway.journal.schema.registry_tables import (
    agency as agency,
)
from gateway.journal.schema.registry_tables import (
    approval as approval,
)
from gateway.journal.schema.registry_tables import (
    bundle as bundle,
)
from gateway.journal.schema.registry_tables import (
    certificate_status as certificate_status,
)
from gateway.journal.schema.registry_tables import (
    contract_in_force as contract_in_force,
)
from gateway.journal.schema.registry_tables import (
    indicator as indicator,
)
from gateway.journal.schema.registry_tables import (
    notice as notice,
)
from gateway.journal.schema.registry_tables import (
    officer as officer,
)
from gateway.journal.schema.registry_tables import (
    officer_passkey as officer_passkey,
)
from gateway.journal.schema.registry_tables import (
    outside_authority as outside_authority,
)
from gateway.journal.schema.registry_tables import (
    person as person,
)
from gateway.journal.schema.registry_tables import (
    quota_use as quota_use,
)
from gateway.journal.schema.registry_tables import (
    registry_history as registry_history,
)
from gateway.journal.schema.registry_tables import (
    registry_proposal as registry_proposal,
)
from gateway.journal.schema.registry_tables import (
    revocation_list as revocation_list,
)
from gateway.journal.schema.registry_tables import (
    route as route,
)
from gateway.journal.schema.registry_tables import (
    system as system,
)
from gateway.journal.schema.registry_tables import (
    system_key as system_key,
)
from gateway.journal.schema.report_table import report as report
from gateway.journal.schema.watch_tables import alarm as alarm
from gateway.journal.schema.watch_tables import finding as finding
from gateway.journal.schema.watch_tables import probe_day as probe_day
from gateway.journal.schema.workflow_tables import handling as handling
from gateway.journal.schema.workflow_tables import handling_step as handling_step

instance = Table("instance", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

# --- journal ----------------------------------------------------------------------------------------------------------
lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", Float, nullable=False),
)
replay = Table(
    "replay",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # SHA-256 of (key id, digest of what was signed)
    Column("expires", Float, nullable=False, index=True),
)
transfer = Table(
    "transfer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("pattern", Text, nullable=False),
    Column("caller_system", Text, nullable=False),
    Column("caller_agency", Text, nullable=False),
    Column("contract", Text, nullable=False),  # "<contract>/v<major>"
    Column("bundle", Text, nullable=False),  # digest of the contract in force then
    Column("operation", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("payload_digest", LargeBinary, nullable=False),
    Column("grant_id", Text, nullable=False),
    Column("provider", Text),
    Column("process", Text),  # the process that may end it while forwarding
    Column("idempotent", Boolean, nullable=False),
    Column("received", Float, nullable=False),
    Column("committed", Float, nullable=False),
    Column("finished", Float),
    Column("status", Integer),
    Column("failure", Text),  # failure code
    Column("answer_ref", Text),  # vault id of the canonical answer
    Column("receipt", Text),  # JSON: {"intent": base64, "outcome": base64}
    UniqueConstraint("caller_system", "contract", "operation", "message_id", name="one_message"),
)
Index("transfer_state", transfer.c.state, transfer.c.id)
Index("transfer_caller", transfer.c.caller_system, transfer.c.id)
Index("transfer_provider", transfer.c.provider, transfer.c.id)

log_pending = Table(
    "log_pending",
    metadata,
    Column("id", AUTO, primary_key=True, autoincrement=True),
    Column("transfer", Text, nullable=False),
    Column("phase", Text, nullable=False),  # intent | outcome | refusal | repeat | in-doubt | registry | start | ...
    Column("entry", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    UniqueConstraint("transfer", "phase", name="one_phase_pending"),
)
log_entry = Table(
    "log_entry",
    metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("transfer", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("sequenced", Float, nullable=False),
    UniqueConstraint("transfer", "phase", name="one_phase"),
)
Index("log_note", log_entry.c.phase, log_entry.c.idx, sqlite_where=NOTES, postgresql_where=NOTES)
log_tile = Table(
    "log_tile",
    metadata,
    Column("level", Integer, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),  # up to 256 hashes of 32 bytes
)
checkpoint = Table(
    "checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("signed", Float, nullable=False),
)
vault = Table(
    "vault",
    metadata,
    Column("id", Text, primary_key=True),  # "<transfer>/<part>"
    Column("key_id", Text, nullable=False),  # day and retention class of the key that seals it
    Column("size", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
opaque_body = Table(  # files that documents refer to (`gateway.vault.opaque_bodies`); their bytes are in `vault`
    "opaque_body",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("agency", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
)
Index("opaque_body_agency", opaque_body.c.agency, opaque_body.c.id)
opaque_use = Table(
    "opaque_use",
    metadata,
    Column("body", Text, primary_key=True),
    Column("transfer", Text, primary_key=True, index=True),  # that refers to it
)

# --- search over the log ----------------------------------------------------------------------------------------------
# One row per entry, derived from the log alone (`gateway.audit.search.index`). All columns but `idx` are short digests
# of the values that searches name; a search reads the entry itself to exclude collisions.
log_index = Table(
    "log_index",
    metadata,
    Column("idx", AUTO, primary_key=True, autoincrement=False),
    Column("about", BigInteger, nullable=False),  # the transfer concerned
    Column("message", BigInteger),
    Column("kind", Integer, nullable=False),
    Column("outcome", Integer),  # a code of `gateway.audit.search.fields.OUTCOMES`
    Column("trouble", Integer, nullable=False),  # 1: refused, failed or in doubt
    Column("failure", Integer),
    Column("agency", Integer),
    Column("system", Integer),
    Column("provider", Integer),
    Column("contract", Integer),
    Column("operation", Integer),
    Column("access_grant", Integer),
    Column("actor", Integer),
)
LOG_INDEXED = tuple(column.name for column in log_index.columns if column.name != "idx")
for _name in LOG_INDEXED:
    Index(f"log_index_{_name}", log_index.c[_name], log_index.c.idx)
Index(  # the newest readings of each reader and feed
    "log_index_readings",
    log_index.c.system,
    log_index.c.contract,
    log_index.c.idx,
    sqlite_where=READINGS,
    postgresql_where=READINGS,
)
log_party = Table(  # the agencies that an entry concerns, in any role
    "log_party",
    metadata,
    Column("party", Integer, primary_key=True, autoincrement=False),  # a digest, as `log_index.agency`
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
)
Index("log_party_idx", log_party.c.idx)
log_indexed = Table(
    "log_indexed",
    metadata,
    Column("name", Text, primary_key=True),  # search
    Column("upto", BigInteger, nullable=False),  # entries before this one are indexed
    Column("leaf", LargeBinary),  # leaf of the last of them: detects that the log was replaced
)

# --- the vault's retention --------------------------------------------------------------------------------------------
Index("vault_key", vault.c.key_id)  # for retention and counts by key
vault_destroyed = Table(
    "vault_destroyed",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("began", Float, nullable=False),
    Column("destroyed", Float),  # NULL: under way, continued after a crash
    Column("bodies", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
vault_key_digest = Table(  # PostgreSQL: what all machines compare their keys with (`gateway.vault.key_digests`)
    "vault_key_digest",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("lost", Float),  # when a person stated that no machine has it any more
)
vault_hold = Table(
    "vault_hold",
    metadata,
    Column("name", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("released", Float),
    Column("sealed", Float),  # when all bodies that it held at first were under its own keys; NULL: under way
    Column("transfers", Text),  # JSON array of ids; NULL: the transfers that match the columns below
    Column("agency", Text),
    Column("contract", Text),
    Column("begins", Float),
    Column("ends", Float),
)

# --- witnesses and time-stamps ----------------------------------------------------------------------------------------
cosigned = Table(
    "cosigned",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),  # the checkpoint with its cosignatures below
    Column("witnesses", Integer, nullable=False),  # known ones that cosigned
    Column("at", Float, nullable=False),
)
stamp = Table(
    "stamp",
    metadata,
    Column("id", AUTO, primary_key=True, autoincrement=True),
    Column("size", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the note, which is stamped
    Column("note", Text, nullable=False),
    Column("question", LargeBinary, nullable=False),  # DER, RFC 3161 TimeStampReq
    Column("answer", LargeBinary, nullable=False),  # DER, TimeStampResp with its token
    Column("authority", Text, nullable=False),  # subject of the certificate that signed
    Column("time", Float, nullable=False),  # the stamp's own
    Column("received", Float, nullable=False),
)
witness_status = Table(
    "vouching",
    metadata,
    Column("kind", Text, primary_key=True),  # witnesses | stamps
    Column("size", BigInteger, nullable=False),  # entries that are cosigned or stamped
    Column("at", Float, nullable=False),  # when that size was reached
    Column("behind", Float),  # since when there are entries beyond; NULL: there are none
    Column("told", Float),  # when the delay was noted in the log
    Column("trouble", Text, nullable=False),  # JSON object: witness or authority -> error text
)

# --- origins of the log -----------------------------------------------------------------------------------------------
log_origin = Table(  # logs that ended; the settings name the current one
    "log_origin",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("number", Integer, nullable=False),  # 1 for the first
    Column("vkey", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # number of its entries in `past_entry`
    Column("note", Text),  # the checkpoint of that size
    Column("ended", Float, nullable=False),
)
past_entry = Table(
    "past_entry",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("transfer", Text, nullable=False, index=True),
    Column("phase", Text, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("sequenced", Float, nullable=False),
)
past_tile = Table(
    "past_tile",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
past_checkpoint = Table(
    "past_checkpoint",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("signed", Float, nullable=False),
)

# The tables that can hold an entry of a transfer. Entries move from left to right: a reader in this order misses none.
LOGS: Final = (log_pending, log_entry, past_entry)
