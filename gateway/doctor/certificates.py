"""Finds certificates near their end: of the gateway, the embedded authority, the systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.doctor.findings import Finding, finding
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring
from gateway.registry.standing import standings
from gateway.settings import Settings
from security.grants.windows import Moment, civil
from security.keys import load_certificate

_DAY: Final = 86_400.0
SOON: Final = 14 * _DAY
AUTHORITY_SOON: Final = 180 * _DAY  # an authority must outlive what it issues, a year at most for signing


def own_certificates(settings: Settings, now: float) -> Iterator[Finding]:
    keyring = Keyring(settings)
    for name in keyring.names:
        each = keyring.current(name)
        yield from _judged(each.key_id, load_certificate(each.pem()), now, SOON, f"lgsp keys rotate {name}")
    for name in ("root", "tls", "sign"):
        path = settings.authority / f"{name}.crt"
        if path.exists():
            then = "a new root and new issuers: docs/security.md" if name == "root" else f"lgsp ca renew {name}"
            yield from _judged(f"ca/{name}", load_certificate(path.read_bytes()), now, AUTHORITY_SOON, then)


def _judged(name: str, certificate: x509.Certificate, now: float, soon: float, then: str) -> Iterator[Finding]:
    until = certificate.not_valid_after_utc.timestamp()
    if until < now + soon:
        yield finding(
            "certificate.ended" if until <= now else "certificate.ending",
            name=name,
            until=Moment(rfc3339(until)),
            next=then,
        )


def systems_certificates(connection: Connection, now: float) -> Iterator[Finding]:
    """Certificates that end without a successor of the same use, or without a timely outside status."""
    key = tables.system_key
    rows = connection.execute(
        select(key.c.key_id, key.c.system, key.c.use, key.c.valid_until).where(key.c.state == "active")
    ).all()
    lasting = {(system, use) for _, system, use, until in rows if until >= now + SOON}
    ending = sorted(
        f"{key_id} ({civil(until)[:10]})" for key_id, system, use, until in rows if (system, use) not in lasting
    )
    if ending:
        yield finding("certificate.systems-ending", keys=", ".join(ending))
    statuses = standings(connection)
    standing: dict[tuple[str, str], bool] = {}  # (system, use) -> whether one of its keys is not revoked
    for row in connection.execute(select(key.c.system, key.c.use, key.c.state, key.c.thumbprint)):
        good = row.state == "active" and all(each.good for each in statuses.get(row.thumbprint, ()))
        standing[row.system, row.use] = standing.get((row.system, row.use), False) or good
    revoked = sorted({system for (system, use), good in standing.items() if use != "encrypt" and not good})
    if revoked:
        yield finding("systems.revoked", systems=", ".join(revoked))
    active = select(key.c.key_id, key.c.thumbprint).where(
        key.c.authority.is_not(None), key.c.state == "active", key.c.valid_until > now
    )
    overdue = sorted(
        key_id
        for key_id, mark in connection.execute(active)
        if all(each.next_update <= now for each in statuses.get(mark, ()) if each.good)
    )
    if overdue:
        yield finding("certificate.status-overdue", keys=", ".join(overdue))
