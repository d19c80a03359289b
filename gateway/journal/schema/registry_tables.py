"""The registry's tables: agencies, systems, keys, grants, officers, routes, contracts; `tables` exports them too.

Times are Unix seconds as floats, structured values JSON text.
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
    Table,
    Text,
)

from gateway.journal.schema.metadata import AUTO, metadata

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
    Column("clock", Text),  # JSON: the moves of a tenant's clock; NULL while it was never moved
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
    Column("state", Text, nullable=False),  # active | suspended | proposed: never in force yet
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
    Column("algorithm", Text),  # NULL: the default of its kind of key
    Column("authority", Text),  # the outside authority that issued it; NULL: the embedded one
    Column("stated", Boolean),  # true: the registry document contains it
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
    Column("digest", Text, nullable=False),  # hex SHA-256 of the list or answer that gave the status
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
    Column("body", Text, nullable=False),  # canonical content of a security.grants.grants.Grant, as officers sign it
    Column("state", Text, nullable=False),  # active | suspended | revoked
    Column("source", Text),  # document | proposal: a document revokes only grants that came by a document
)
officer = Table(
    "officer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("name_vi", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("public_key", Text, nullable=False),  # PEM, SubjectPublicKeyInfo
    Column("thumbprint", Text, nullable=False, unique=True),  # base64url SHA-256 of it
    Column("state", Text, nullable=False),  # proposed | active | retired | revoked
    Column("since", Float, nullable=False),
)
officer_passkey = Table(
    "officer_passkey",
    metadata,
    Column("thumbprint", Text, primary_key=True),  # base64url SHA-256 of the SubjectPublicKeyInfo
    Column("officer", Text, nullable=False),
    Column("credential", Text, nullable=False),  # its id in the authenticator, base64url
    Column("origin", Text, nullable=False),  # of the pages where it approves
    Column("public_key", Text, nullable=False),  # PEM, SubjectPublicKeyInfo, P-256
    Column("state", Text, nullable=False),  # open | retired | revoked; officers' signatures decide whether it counts
    Column("since", Float, nullable=False),
)
person = Table(
    "person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("role", Text, nullable=False),  # operator | auditor
    Column("name_vi", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("public_key", Text, nullable=False),  # PEM, SubjectPublicKeyInfo
    Column("thumbprint", Text, nullable=False, unique=True),  # base64url SHA-256 of it
    Column("state", Text, nullable=False),  # proposed | active | retired | revoked
    Column("since", Float, nullable=False),
)
approval = Table(
    "approval",
    metadata,
    Column("subject", Text, primary_key=True),  # "grant G-0001", "officer can-bo-3"
    Column("digest", Text, primary_key=True),  # of the content that was signed
    Column("officer", Text, primary_key=True),
    Column("signature", Text, nullable=False),  # detached JWS, or an assertion of a passkey
    Column("given", Float, nullable=False),
    Column("voided", Float),  # when that content was changed or revoked; a voided approval never counts again
)
registry_proposal = Table(
    "registry_proposal",
    metadata,
    Column("subject", Text, primary_key=True),  # "agency H14.2", "system do-thi", "route field-report/v1 createRequest"
    Column("edition", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),  # canonical content, as officers sign it
    Column("state", Text, nullable=False),  # waiting | in-force | replaced | withdrawn | removed
    Column("basis", Text, nullable=False),  # officers | founding | adopted: why it may be in force
    Column("standing", Text, nullable=False),  # active | suspended: of a new system once it is in force
    Column("proposed", Float, nullable=False),
    Column("decided", Float),  # when its state last changed
)
indicator = Table(
    "indicator",
    metadata,
    Column("code", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),  # canonical JSON of a gateway.indicators.definitions.Definition
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
    Column("until", Float),  # expected end, for information only
)
route = Table(
    "route",
    metadata,
    Column("id", AUTO, primary_key=True, autoincrement=True),
    Column("contract", Text, nullable=False),  # "<contract>/v<major>"
    Column("operation", Text, nullable=False),
    Column("when", Text, nullable=False),  # JSON object: canonical path -> list of values; {} is the fallback
    Column("system", Text, nullable=False),  # empty: the operation calls none
    Column("position", Integer, nullable=False),
    Column("agencies", Text),  # JSON list of codes: who handles the message; NULL: the agency of the system
    Column("hours", Text),  # JSON: a name of the workflow's hours, or windows of a week; NULL: always
    Column("outside", Text),  # JSON list of codes: who handles it outside the hours; NULL: as the fallback says
)
bundle = Table(
    "bundle",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("contract", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("withdrawn", Boolean),  # true: later versions were not compared with it
)
Index("one_version", bundle.c.contract, bundle.c.version, unique=True)  # a published version never changes
contract_in_force = Table(
    "contract_in_force",
    metadata,
    Column("contract", Text, primary_key=True),  # "<contract>/v<major>"
    Column("digest", Text, nullable=False),
)
registry_history = Table(
    "registry_history",
    metadata,
    Column("of_table", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),  # since which it holds
    Column("content", Text),  # canonical JSON of the row (gateway.registry.seals.rows); NULL: deleted
    Column("digest", Text),  # SHA-256 of it in hex
    Column("since", Float, nullable=False),
    Column("what", Text, nullable=False),  # the kind of the log entry
    Column("actor", Text, nullable=False),
    Column("entry", Text, nullable=False),  # id of the log entry that seals it
    Column("until", BigInteger),  # revision of the next version of this row; NULL: it is the newest
)
Index("registry_history_until", registry_history.c.until)
Index("registry_history_revision", registry_history.c.revision)
