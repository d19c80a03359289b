"""Who may approve, and what nobody approved: grants that wait for signatures, too few officers, an officer's key that lies here."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from gateway.doctor.findings import Found, found
from gateway.registry.changes.granting import grants
from gateway.registry.changes.officers import officers
from gateway.settings import Settings
from security.grants.grants import OFFICERS


def access(settings: Settings, connection: Connection, now: float) -> Iterator[Found]:
    known = officers(connection)
    held = grants(connection, known)
    in_office = sum(officer.state == "active" for officer in known.values())
    if held and in_office < OFFICERS:
        yield found("officers.few", count=in_office)
    unsigned = [
        grant.id for grant in held if not grant.denies and len(grant.approved_by) < OFFICERS and now < grant.valid_until
    ]
    if unsigned:
        yield found("grants.unsigned", grants=", ".join(unsigned))
    keys = sorted(path.parent.name for path in settings.identities.glob("*/officer.key"))
    if keys:
        yield found("officers.key-here", officers=", ".join(keys))
