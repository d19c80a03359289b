"""The tables, once, for SQLite and PostgreSQL. Alembic's migrations in `migrations/` bring a database to this form.

Invariants
- A row in `log_entry` or `feed_event` was put there by the leading keeper, in one transaction that checked its epoch; readers see
  only those.
- Ids of `*_pending` rows are no order (on PostgreSQL a cursor over them loses rows): only `idx` and `offset` are.
- Bodies stand in `vault` and nowhere else; other tables hold its ids.
Times are Unix seconds as floats, digests raw bytes, structured values JSON text.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
_auto = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER PRIMARY KEY

instance = Table("instance", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

# --- registry ---------------------------------------------------------------------------------------------------------
agency = Table(
    "agency",
    metadata,
    Column("code", Text, primary_key=True),
    Column("name_vi", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("roles", Text, nullable=False),  # JSON array of strings
    Column("contact", Text, nullable=False),  # JSON object
    Column("state", Text, nullable=False),  # active | suspended
)
system = Table(
    "system",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("title_vi", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("formats", Text, nullable=False),  # JSON object: "<contract>/v<major>" -> format name
    Column("endpoint", Text),  # JSON object: {"kind": "rest"|"soap", "url": ...}; NULL for a system that only calls
    Column("state", Text, nullable=False),  # active | suspended
    Column("versions", Text),  # JSON object: "<contract>/v<major>" -> the minor version it is pinned to, or "newest"
    Column("contact", Text),  # JSON object; NULL where the agency's contact serves
)
system_key = Table(
    "system_key",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("system", Text, nullable=False, index=True),
    Column("use", Text, nullable=False),  # tls | sign | encrypt
    Column("thumbprint", Text, nullable=False, unique=True),  # base64url SHA-256 of the DER certificate
    Column("certificate", Text, nullable=False),  # PEM
    Column("valid_from", Float, nullable=False),
    Column("valid_until", Float, nullable=False),
    Column("state", Text, nullable=False),  # active | revoked
    Column("algorithm", Text),  # NULL: the one that is natural for its kind of key
    Column("authority", Text),  # the outside authority that issued it; NULL: the embedded one
    Column("stated", Boolean),  # true: it stands in the registry document
    Column("revoked", Float),
    Column("reason", Text),  # of its revocation, a name of RFC 5280
)
outside_authority = Table(
    "outside_authority",
    metadata,
    Column("name", Text, primary_key=True),
    Column("uses", Text, nullable=False),  # JSON array: tls | sign | encrypt
    Column("certificates", Text, nullable=False),  # PEM
    Column("crl", Text, nullable=False),  # JSON array of addresses
    Column("ocsp", Text),
    Column("grace", Float, nullable=False),  # seconds that a status may be overdue
)
certificate_status = Table(
    "certificate_status",
    metadata,
    Column("thumbprint", Text, primary_key=True),
    Column("source", Text, primary_key=True),  # crl | ocsp
    Column("authority", Text, nullable=False),
    Column("status", Text, nullable=False),  # good | revoked
    Column("this_update", Float, nullable=False),
    Column("next_update", Float, nullable=False),
    Column("revoked", Float),
    Column("reason", Text),
    Column("digest", Text, nullable=False),  # hex SHA-256 of the list or answer that said so
)
revocation_list = Table(
    "revocation_list",
    metadata,
    Column("issuer", Text, primary_key=True),  # of the embedded authority: tls | sign, tls-1 for one that was replaced
    Column("number", BigInteger, nullable=False),
    Column("this_update", Float, nullable=False),
    Column("next_update", Float, nullable=False),
    Column("crl", LargeBinary, nullable=False),  # DER
)
access_grant = Table(
    "access_grant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("body", Text, nullable=False),  # the canonical content of a security.grants.Grant: the very text that officers sign
    Column("state", Text, nullable=False),  # active | suspended | revoked
    Column("source", Text),  # document | proposal: a document takes back only what came by one
)
officer = Table(
    "officer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("name_vi", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("public_key", Text, nullable=False),  # PEM, SubjectPublicKeyInfo
    Column("thumbprint", Text, nullable=False, unique=True),  # base64url SHA-256 of it: no key is that of two officers
    Column("state", Text, nullable=False),  # proposed | active | retired | revoked
    Column("since", Float, nullable=False),
)
approval = Table(
    "approval",
    metadata,
    Column("subject", Text, primary_key=True),  # "grant G-0001", "officer can-bo-3"
    Column("digest", Text, primary_key=True),  # of the content that was signed
    Column("officer", Text, primary_key=True),
    Column("signature", Text, nullable=False),  # detached JWS
    Column("given", Float, nullable=False),
    Column("voided", Float),  # when that content was changed or revoked; it is not taken a second time
)
quota_use = Table(
    "quota_use",
    metadata,
    Column("grant_id", Text, primary_key=True),
    Column("agency", Text, primary_key=True),
    Column("per", Text, primary_key=True),
    Column("begins", BigInteger, primary_key=True, autoincrement=False),  # Unix seconds: the window of the calendar
    Column("used", BigInteger, nullable=False),
)
notice = Table(
    "notice",
    metadata,
    Column("what", Text, primary_key=True),  # agency | system | grant
    Column("id", Text, primary_key=True),
    Column("reason_vi", Text, nullable=False),
    Column("reason_en", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("until", Float),  # when it is expected to end; nothing ends by itself
)
route = Table(
    "route",
    metadata,
    Column("id", _auto, primary_key=True, autoincrement=True),
    Column("contract", Text, nullable=False),  # "<contract>/v<major>"
    Column("operation", Text, nullable=False),
    Column("when", Text, nullable=False),  # JSON object: canonical path -> list of values; {} is the fallback
    Column("system", Text, nullable=False),
    Column("position", Integer, nullable=False),
)
bundle = Table(
    "bundle",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("contract", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("withdrawn", Boolean),  # true: taken back; nothing that came later was compared with it
)
Index("one_version", bundle.c.contract, bundle.c.version, unique=True)  # what was published under a number stays that
contract_in_force = Table(
    "contract_in_force",
    metadata,
    Column("contract", Text, primary_key=True),  # "<contract>/v<major>"
    Column("digest", Text, nullable=False),
)

# --- journal ----------------------------------------------------------------------------------------------------------
process = Table(
    "process",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # door | keeper
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("seen", Float, nullable=False),
    Column("state", Text, nullable=False),  # alive | ended | dead
)
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
    Column("process", Text),  # who may end it while forwarding
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
Index("transfer_open", transfer.c.state, transfer.c.process)

log_pending = Table(
    "log_pending",
    metadata,
    Column("id", _auto, primary_key=True, autoincrement=True),
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
feed_pending = Table(
    "feed_pending",
    metadata,
    Column("id", _auto, primary_key=True, autoincrement=True),
    Column("contract", Text, nullable=False),
    Column("transfer", Text, nullable=False, unique=True),
    Column("event", Text, nullable=False),  # CloudEvents attributes without data
    Column("body_ref", Text, nullable=False),  # vault id of the canonical message
)
feed_event = Table(
    "feed_event",
    metadata,
    Column("contract", Text, primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("transfer", Text, nullable=False, unique=True),
    Column("event", Text, nullable=False),
    Column("body_ref", Text, nullable=False),
    Column("sequenced", Float, nullable=False),
)
queue = Table(
    "queue",
    metadata,
    Column("transfer", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("body_ref", Text, nullable=False),  # vault id of the canonical message
    Column("state", Text, nullable=False),  # waiting | leased | done | dead
    Column("tries", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("epoch", BigInteger),
    Column("last_failure", Text),
)
Index("queue_due", queue.c.state, queue.c.next_at)
vault = Table(
    "vault",
    metadata,
    Column("id", Text, primary_key=True),  # "<transfer>/<part>"
    Column("key_id", Text, nullable=False),  # day and retention class of the key that seals it
    Column("size", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# --- search over the log ----------------------------------------------------------------------------------------------
# One row an entry, made from the log alone (`gateway.audit.index`), and made anew at any time. All but `idx` are short digests of the words that are
# searched by: equal words give equal numbers, and whoever found a row reads the entry itself.
log_index = Table(
    "log_index",
    metadata,
    Column("idx", _auto, primary_key=True, autoincrement=False),
    Column("about", BigInteger, nullable=False),  # the transfer concerned
    Column("message", BigInteger),
    Column("kind", Integer, nullable=False),
    Column("outcome", Integer),  # a code of `gateway.audit.facts.OUTCOMES`
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
log_indexed = Table(
    "log_indexed",
    metadata,
    Column("name", Text, primary_key=True),  # search
    Column("upto", BigInteger, nullable=False),  # entries before this one have their row
    Column("leaf", LargeBinary),  # of the last of them: another log has another one
)

# --- the vault's retention --------------------------------------------------------------------------------------------
Index("vault_key", vault.c.key_id)  # what one key seals: for its retention and for counting
vault_destroyed = Table(
    "vault_destroyed",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("began", Float, nullable=False),
    Column("destroyed", Float),  # NULL: under way, to be gone on with after a crash
    Column("bodies", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
vault_hold = Table(
    "vault_hold",
    metadata,
    Column("name", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("released", Float),
    Column("sealed", Float),  # when all that it held at first was under its own keys; NULL: under way
    Column("transfers", Text),  # JSON array of ids; NULL: whatever the columns below say, as far as they say it
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
    Column("id", _auto, primary_key=True, autoincrement=True),
    Column("size", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the note: what is stamped
    Column("note", Text, nullable=False),
    Column("question", LargeBinary, nullable=False),  # DER, RFC 3161 TimeStampReq
    Column("answer", LargeBinary, nullable=False),  # DER, TimeStampResp with its token
    Column("authority", Text, nullable=False),  # subject of the certificate that signed
    Column("time", Float, nullable=False),  # the stamp's own
    Column("received", Float, nullable=False),
)
vouching = Table(
    "vouching",
    metadata,
    Column("kind", Text, primary_key=True),  # witnesses | stamps
    Column("size", BigInteger, nullable=False),  # entries that are vouched for
    Column("at", Float, nullable=False),  # when that was reached
    Column("behind", Float),  # since when there are entries beyond; NULL: there are none
    Column("told", Float),  # when the log was told that this lasts too long
    Column("trouble", Text, nullable=False),  # JSON object: witness or authority -> what is wrong, in words
)

# --- origins of the log -----------------------------------------------------------------------------------------------
log_origin = Table(  # logs that ended; the one that goes on is named in the settings
    "log_origin",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("number", Integer, nullable=False),  # 1 for the first
    Column("vkey", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # how many of its entries are here
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
