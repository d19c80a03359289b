"""What the embedded authority has revoked, as lists that others can fetch (RFC 5280 §5): one an issuer, signed anew at each change and in good time.

Invariants: a number is never used twice; a list stands in the database, so that a door serves it without holding an authority's key; a certificate stays on
it until it has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, Engine, insert, select, update

from gateway.audit.log import lease as leases
from gateway.audit.log.lease import Lease
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.keys.authority import EmbeddedAuthority
from gateway.registry.changes.keys import UNSPECIFIED
from gateway.registry.records import REVOKED
from gateway.registry.seals.revisions import revision
from security.pki.revocation import Revoked, make_crl

LASTS: Final = 3 * 86_400.0
LOOK_SECONDS: Final = 1.0


@dataclass(slots=True)
class OwnLists:
    """The keeper's chore."""

    engine: Engine
    lock: FileLock | None
    authority: EmbeddedAuthority
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _look_at: float = 0.0
    _revision: int = -1
    _until: float = 0.0

    async def run_once(self, lease: Lease) -> int:
        moment = self.monotonic()
        if moment >= self._look_at:
            self._look_at = moment + LOOK_SECONDS
            await asyncio.to_thread(self._look, lease)
        return 0

    def _look(self, lease: Lease) -> None:
        now = self.clock()
        with self.engine.connect() as connection:
            number = revision(connection)
        if (
            number == self._revision and self._until - LASTS / 3 <= now < self._until
        ):  # a clock that was put back counts as none
            return
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            renew(connection, self.authority, now)
        self._revision, self._until = number, now + LASTS / 3


def renew(connection: Connection, authority: EmbeddedAuthority, now: float) -> None:
    """Make those lists anew that do not say what is revoked now, that have lived a third of their time, or that come
    from a future that a wrong clock had us believe."""
    table = tables.revocation_list
    stored = {row.issuer: row for row in connection.execute(select(table))}
    keys = tables.system_key.c
    revoked = [
        (x509.load_pem_x509_certificate(row.certificate.encode("ascii")), row.revoked, row.reason)
        for row in connection.execute(
            select(keys.certificate, keys.revoked, keys.reason).where(
                keys.state == REVOKED, keys.authority.is_(None), keys.valid_until > now
            )
        )
    ]
    for name in filter(authority.holds, authority.names()):
        own = authority.certificate(name)
        mine = [
            Revoked(each.serial_number, at or now, reason or UNSPECIFIED)
            for each, at, reason in revoked
            if _is_by(each, own)
        ]
        before = stored.get(name)
        if (
            before is not None
            and before.this_update <= now < before.this_update + LASTS / 3
            and _says(before.crl, own, mine)
        ):
            continue
        number = before.number + 1 if before is not None else 1
        row: dict[str, Any] = {"number": number, "this_update": now, "next_update": now + LASTS}
        row["crl"] = make_crl(authority.issuer(name), mine, number, now, LASTS)
        if before is None:
            connection.execute(insert(table).values(issuer=name, **row))
        else:
            connection.execute(update(table).where(table.c.issuer == name).values(row))


def stored_list(connection: Connection, issuer: str) -> bytes | None:
    """The newest list of an issuer (DER)."""
    return connection.scalar(select(tables.revocation_list.c.crl).where(tables.revocation_list.c.issuer == issuer))


def _says(crl: bytes, issuer: x509.Certificate, revoked: Sequence[Revoked]) -> bool:
    found = x509.load_der_x509_crl(crl)
    return found.issuer == issuer.subject and {each.serial_number for each in found} == {
        each.serial for each in revoked
    }


def _is_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # another name, another key
        return False
    return True
