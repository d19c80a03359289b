"""Finds grants that wait for signatures, too few officers, acts without a proved person, and private keys of officers
and persons on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from contracts.base.times import rfc3339
from gateway.audit.verify.rows.noted import read_notes
from gateway.doctor.findings import Finding, finding
from gateway.registry.acting import BREAK_GLASS, being_founded
from gateway.registry.changes.granting import grants
from gateway.registry.changes.officers import officers
from gateway.settings import Settings
from security.grants.grants import OFFICERS

_OWN_KEYS: Final = ("officer.key", "person.key")
_SHOWN: Final = 5
_LISTED: Final = 30 * 86_400.0  # seconds that an act without a person stays listed


def _persons(connection: Connection, now: float) -> Iterator[Finding]:
    if being_founded(connection):
        yield finding("persons.none")
    since = rfc3339(now - _LISTED)
    broken = [note for note in read_notes(connection, {BREAK_GLASS}) if note.at > since]
    if broken:
        shown = "; ".join(
            f"{note.at} lgsp {note.facts.get('command')} ({note.actor}): {note.facts.get('reason')}"
            for note in broken[-_SHOWN:]
        )
        yield finding("persons.break-glass", count=len(broken), acts=shown)


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
    yield from _persons(connection, now)
    keys = sorted(path.parent.name for path in settings.identities.glob("*/*.key") if path.name in _OWN_KEYS)
    if keys:
        yield finding("officers.key-here", officers=", ".join(keys))
