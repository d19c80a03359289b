"""Stores the keys of systems and the authorities that certify them: enrolment, documents, revocation.

Invariant: a key id and a certificate belong to one system and one use for ever; a new key has a new id.
Invariant: a revocation is final; stating the key again in a document does not lift it.
Invariant: a key that an earlier document stated and this one omits is revoked. A key enrolled by command and never in a
    document keeps its state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, delete, insert, select, update

from contracts.base.errors import Finding, Theirs
from gateway.journal.schema import tables
from gateway.registry.errors import REGISTRY_INVALID, REGISTRY_KEY_REVOKED, REGISTRY_KEY_TAKEN, unknown
from gateway.registry.records import ACTIVE, REVOKED, Change, OutsideAuthority, StatedKey, Use
from gateway.registry.seals.revisions import raise_revision
from security.encryption_keys import EncryptKey
from security.keys import VerifyKey, load_certificate
from security.pki.chains import Trust, authority_of

SUPERSEDED: Final = "superseded"
CESSATION: Final = "cessationOfOperation"
UNSPECIFIED: Final = "unspecified"
REASONS: Final = ("keyCompromise", "affiliationChanged", SUPERSEDED, CESSATION, "privilegeWithdrawn", UNSPECIFIED)


class KeyFacts(NamedTuple):
    """What the registry holds of a key beside its certificate; `stated`: in a registry document."""

    algorithm: str | None = None
    authority: str | None = None
    stated: bool = False


PLAIN: Final = KeyFacts()


def add_key(
    connection: Connection,
    key_id: str,
    system: str,
    use: Use,
    certificate: str | bytes,
    more: KeyFacts = PLAIN,
) -> list[Change]:
    """Enrol a certificate (PEM or DER). Repeating it changes nothing; a used id or certificate is refused."""
    parsed = load_certificate(certificate)
    key: EncryptKey | VerifyKey
    if use == "encrypt":
        key = EncryptKey.from_certificate(key_id, system, certificate)
    else:
        key = VerifyKey.from_certificate(key_id, system, certificate, more.algorithm)  # refuses weak keys, also for TLS
    table = tables.system_key
    if connection.scalar(select(tables.system.c.id).where(tables.system.c.id == system)) is None:
        raise unknown("system", system)
    taken = connection.execute(
        select(table.c.key_id, table.c.system, table.c.use, table.c.thumbprint).where(
            (table.c.key_id == key_id) | (table.c.thumbprint == key.thumbprint)
        )
    ).all()
    if taken:
        if [tuple(row) for row in taken] == [(key_id, system, use, key.thumbprint)]:
            return []
        raise REGISTRY_KEY_TAKEN(id=key_id, system=taken[0].system)
    connection.execute(
        insert(table).values(
            key_id=key_id,
            system=system,
            use=use,
            thumbprint=key.thumbprint,
            certificate=parsed.public_bytes(Encoding.PEM).decode("ascii"),
            valid_from=key.valid_from,
            valid_until=key.valid_until,
            state=ACTIVE,
            **more._asdict(),
        )
    )
    raise_revision(connection)
    return [Change("key", key_id, "added", (use, key.thumbprint))]


def revoke_key(connection: Connection, key_id: str, now: float, reason: str = UNSPECIFIED) -> list[Change]:
    """Revoke a key, effective in every process within its polling time."""
    table = tables.system_key
    before = connection.scalar(select(table.c.state).where(table.c.key_id == key_id))
    if before is None:
        raise unknown("key", key_id)
    if before == REVOKED:
        return []
    connection.execute(update(table).where(table.c.key_id == key_id).values(state=REVOKED, revoked=now, reason=reason))
    raise_revision(connection)
    return [Change("key", key_id, "revoked", (reason,))]


def is_system(connection: Connection, name: str) -> bool:
    return connection.scalar(select(tables.system.c.id).where(tables.system.c.id == name)) is not None


def system_of(connection: Connection, key_id: str) -> str | None:
    """The system that has, or once had, the key of that id."""
    table = tables.system_key.c
    found: str | None = connection.scalar(select(table.system).where(table.key_id == key_id))
    return found


def certificates_of(connection: Connection, system: str) -> list[tuple[str, str]]:
    """All keys that a system ever had, with their certificates (PEM)."""
    table = tables.system_key.c
    rows = connection.execute(select(table.key_id, table.certificate).where(table.system == system))
    return [(row.key_id, row.certificate) for row in rows]


def revoke_system(connection: Connection, system: str, now: float, reason: str = UNSPECIFIED) -> list[Change]:
    """Revoke all keys of a system."""
    if not is_system(connection, system):
        raise unknown("system", system)
    table = tables.system_key.c
    ids = connection.scalars(select(table.key_id).where(table.system == system).order_by(table.key_id)).all()
    return [change for key_id in ids for change in revoke_key(connection, key_id, now, reason)]


def apply_keys(connection: Connection, stated: Sequence[StatedKey], now: float, embedded: Trust | None) -> list[Change]:
    """Change the keys to those that a document states. Raises `REGISTRY_INVALID` with the invalid ones."""
    table = tables.system_key
    stored: dict[str, dict[str, Any]] = {
        row["key_id"]: dict(row) for row in connection.execute(select(table)).mappings()
    }
    trusts = trusted(connection, embedded)
    changes: list[Change] = []
    wrong: list[Finding] = []
    for key in stated:
        try:
            changes += _state(connection, key, stored.pop(key.key_id, None), now, trusts)
        except Theirs as trouble:
            wrong.append(Finding(key.path, "", trouble.code, "key", trouble.what("en")))
    if wrong:
        raise REGISTRY_INVALID(count=len(wrong), findings=wrong)
    for name, row in stored.items():
        if row["stated"] and row["state"] == ACTIVE:
            changes += revoke_key(connection, name, now, CESSATION)
    return changes


def _state(
    connection: Connection, key: StatedKey, before: Mapping[str, Any] | None, now: float, trusts: Sequence[Trust]
) -> list[Change]:
    table, changes = tables.system_key, []
    use = key.use
    if before is None:
        authority = authority_of(load_certificate(key.certificate), trusts, key.use, now)
        facts = KeyFacts(key.algorithm, authority, stated=True)
        changes = add_key(connection, key.key_id, key.system, use, key.certificate, facts)
    else:
        add_key(connection, key.key_id, key.system, use, key.certificate)  # refuses another certificate under this id
        if key.state == ACTIVE and before["state"] == REVOKED:
            raise REGISTRY_KEY_REVOKED(id=key.key_id)
        if (key.algorithm, True) != (before["algorithm"], bool(before["stated"])):
            connection.execute(
                update(table).where(table.c.key_id == key.key_id).values(algorithm=key.algorithm, stated=True)
            )
            raise_revision(connection)
            changes = [
                Change(
                    "key",
                    key.key_id,
                    "changed",
                    ("algorithm",) if key.algorithm != before["algorithm"] else ("stated",),
                )
            ]
    return changes + (revoke_key(connection, key.key_id, now) if key.state == REVOKED else [])


def apply_authorities(connection: Connection, wanted: Iterable[OutsideAuthority]) -> list[Change]:
    """Change the outside authorities to those stated; the keys of a removed one are refused until it is stated
    again."""
    table, changes = tables.outside_authority, []
    stored: dict[str, dict[str, Any]] = {row["name"]: dict(row) for row in connection.execute(select(table)).mappings()}
    for authority in wanted:
        row = {
            "name": authority.name,
            "uses": json.dumps(authority.uses),
            "certificates": authority.certificates,
            "crl": json.dumps(authority.crl),
            "ocsp": authority.ocsp,
            "grace": authority.grace,
        }
        before = stored.pop(authority.name, None)
        if before is None:
            connection.execute(insert(table).values(row))
            changes.append(Change("authority", authority.name, "added", (*authority.uses,)))
        elif before != row:
            connection.execute(update(table).where(table.c.name == authority.name).values(row))
            changes.append(
                Change(
                    "authority",
                    authority.name,
                    "changed",
                    tuple(sorted(name for name in row if row[name] != before[name])),
                )
            )
    for name in stored:
        connection.execute(delete(table).where(table.c.name == name))
        changes.append(Change("authority", name, "removed"))
    return changes


def outside(connection: Connection) -> dict[str, OutsideAuthority]:
    """The outside authorities by name."""
    return {
        row.name: OutsideAuthority(
            name=row.name,
            uses=tuple(json.loads(row.uses)),
            certificates=row.certificates,
            crl=tuple(json.loads(row.crl)),
            ocsp=row.ocsp,
            grace=row.grace,
        )
        for row in connection.execute(select(tables.outside_authority))
    }


def trusted(connection: Connection, embedded: Trust | None) -> list[Trust]:
    """All authorities that may certify a key."""
    others = [
        Trust(each.name, each.uses, tuple(x509.load_pem_x509_certificates(each.certificates.encode("ascii"))))
        for each in outside(connection).values()
    ]
    return [embedded, *others] if embedded is not None else others
