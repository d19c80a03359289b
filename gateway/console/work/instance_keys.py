"""The gateway's own keys and the authorities, without private parts: ages, ends, revocation lists, outside authorities.

Keys are replaced on the host, where they are (`lgsp keys rotate`, `lgsp ca renew`); the page names the command.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from contracts.base.times import rfc3339
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.journal import jobs
from gateway.journal.append import append
from gateway.journal.jobs import Job
from gateway.journal.schema import tables
from gateway.keeper.tasks.certificate_status import ASKED
from gateway.keys import overview
from gateway.keys.overview import AuthorityCertificate, OwnKey
from gateway.registry.records import OutsideAuthority
from gateway.transfer import entries

SOON: Final = 14  # days, of the gateway's certificates (`gateway.doctor.certificates`)
AUTHORITY_SOON: Final = 180


class RevocationList(NamedTuple):
    issuer: str
    number: int
    made: float
    until: float
    revoked: int


class InstanceKeys(NamedTuple):
    """`trouble`: which file of this instance cannot be read."""

    keys: tuple[OwnKey, ...]
    authorities: tuple[AuthorityCertificate, ...]
    lists: tuple[RevocationList, ...]
    outside: tuple[OutsideAuthority, ...]
    asked: Job | None
    trouble: str | None


def instance_keys(desk: Desk) -> InstanceKeys:
    settings, trouble = desk.services.settings, None
    keys: tuple[OwnKey, ...] = ()
    authorities: tuple[AuthorityCertificate, ...] = ()
    try:
        keys, authorities = tuple(overview.own_keys(settings)), tuple(overview.authorities(settings))
    except OSError as missing:
        trouble = f"{missing.filename}: {missing.strerror}"
    table = tables.revocation_list
    with desk.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.issuer)).all()
        asked = jobs.newest(connection, ASKED, limit=1)
    return InstanceKeys(
        keys=keys,
        authorities=authorities,
        lists=tuple(
            RevocationList(
                each.issuer, each.number, each.this_update, each.next_update, len(x509.load_der_x509_crl(each.crl))
            )
            for each in rows
        ),
        outside=tuple(desk.services.registry.snapshot.authorities.values()),
        asked=asked[0] if asked else None,
        trouble=trouble,
    )


def revocation_list(desk: Desk, issuer: str) -> bytes:
    """The newest list of an issuer, PEM. Raises `console.no-page`."""
    table = tables.revocation_list.c
    with desk.reading() as connection:
        found = connection.scalar(select(table.crl).where(table.issuer == issuer))
    if found is None:
        raise CONSOLE_NO_PAGE(path=issuer[:60])
    return x509.load_der_x509_crl(found).public_bytes(Encoding.PEM)


def newest_asked(desk: Desk) -> Job | None:
    """The newest order to ask the outside authorities."""
    with desk.reading() as connection:
        return next(iter(jobs.newest(connection, ASKED, limit=1)), None)


def ask_outside(desk: Desk, viewer: Viewer) -> Job:
    """Orders that the keeper asks all outside authorities now. A running order is not given again."""
    now = desk.now()
    with desk.writing() as connection:
        for job in jobs.newest(connection, ASKED, limit=1):
            if job.state == jobs.RUNNING:
                return job
        job = jobs.add(connection, ASKED, "", (viewer.actor, ""), now)
        append(connection, [entries.note(ASKED, {"job": job.id}, now, actor=viewer.actor)])
    return job


def shown(found: InstanceKeys, now: float) -> dict[str, Any]:
    """For programs."""
    return {
        "keys": [
            {
                "id": each.generation.key_id,
                "name": each.generation.name,
                "current": each.current,
                "private_key": each.there,
                "valid_from": rfc3339(each.valid_from),
                "valid_until": rfc3339(each.valid_until),
                "days_left": each.left(now),
                "thumbprint": each.thumbprint,
            }
            for each in found.keys
        ],
        "authorities": [
            {
                "name": each.name,
                "subject": each.subject,
                "valid_until": rfc3339(each.valid_until),
                "days_left": each.left(now),
                "thumbprint": each.thumbprint,
                "private_key": each.there,
            }
            for each in found.authorities
        ],
        "lists": [
            {
                "issuer": each.issuer,
                "number": each.number,
                "made": rfc3339(each.made),
                "next_update": rfc3339(each.until),
                "revoked": each.revoked,
            }
            for each in found.lists
        ],
        "outside": [{"name": each.name, "uses": list(each.uses)} for each in found.outside],
        "asked": None
        if found.asked is None
        else {**found.asked.shown(), "troubles": list(found.asked.facts.get("troubles", ()))},
        "trouble": found.trouble,
    }
