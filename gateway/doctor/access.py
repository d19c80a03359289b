"""Finds grants that wait for signatures, too few officers, and officers' private keys on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from gateway.doctor.findings import Finding, finding
from gateway.registry.changes.granting import grants
from gateway.registry.changes.officers import officers
from gateway.settings import Settings
from security.grants.grants import OFFICERS


def access(settings: Settings, connection: Connection, now: float) -> Iterator[Finding]:
    known = officers(connection)
    all_grants = grants(connection, known)
    in_office = sum(officer.state == "active" for officer in known.values())
    if all_grants and in_office < OFFICERS:
        yield finding("officers.few", count=in_office)
    unsigned = [
        grant.id
        for grant in all_grants
        if not grant.denies and len(grant.approved_by) < OFFICERS and now < grant.valid_until
    ]
    if unsigned:
        yield finding("grants.unsigned", grants=", ".join(unsigned))
    keys = sorted(path.parent.name for path in settings.identities.glob("*/officer.key"))
    if keys:
        yield finding("officers.key-here", officers=", ".join(keys))
