"""Finds certificates near their end (of the gateway, the embedded authority, the systems), and vendors' that name hosts
of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from cryptography import x509
from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.doctor.findings import Finding, finding
from gateway.journal.schema import tables
from gateway.keys.authority import ISSUERS, VENDORS
from gateway.keys.keyring import Keyring
from gateway.registry.places import Places, host_of, place_of
from gateway.registry.standing import standings
from gateway.registry.tenants import is_tenant
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
    for name in ("root", *ISSUERS, VENDORS):
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


def vendors_certificates(settings: Settings, connection: Connection, now: float) -> Iterator[Finding]:
    """TLS certificates in force of a sandbox's vendors that name a host of the gateway, or one that is not hers.

    A release before the vendors' own issuer certified the host that a vendor stated. The issuer of the listeners did
    so: browsers and systems believe such a server.
    """
    key, system, places = tables.system_key.c, tables.system.c, Places(settings, ())
    in_force = select(key.key_id, key.certificate, system.agency, system.endpoint).where(
        key.system == system.id, key.use == "tls", key.state == "active", key.valid_until > now, key.authority.is_(None)
    )
    named = dict[str, str]()
    for row in connection.execute(in_force.order_by(key.key_id)):
        if not is_tenant(row.agency):
            continue
        stated = place_of(json.loads(row.endpoint).get("url", "")) if row.endpoint else None
        hosts = _hosts(load_certificate(row.certificate))
        strange = [each for each in hosts if places.own_host(each) or stated is None or host_of(each) != stated[0]]
        if strange:
            named[row.key_id] = ", ".join(strange)
    if named:
        yield finding(
            "certificate.vendors-hosts",
            keys="; ".join(f"{key_id} ({hosts})" for key_id, hosts in named.items()),
            commands="; ".join(f"lgsp registry revoke {key_id} --reason superseded" for key_id in named),
        )


def _hosts(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return [*names.get_values_for_type(x509.DNSName), *addresses]
