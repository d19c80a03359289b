"""Signs the revocation lists of the embedded authority (RFC 5280 §5): one an issuer, at each change and in good time.

Invariants:
- A number is never used twice.
- A list is in the database, so that a door serves it without holding an authority's key.
- A certificate stays on its list until it has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, Engine, insert, select, update

from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.keeper.periodic import PeriodicTask
from gateway.keys.authority import EmbeddedAuthority
from gateway.registry.changes.keys import UNSPECIFIED
from gateway.registry.records import REVOKED
from gateway.registry.seals.revisions import revision
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from security.pki.revocation import Revoked, make_crl

LASTS: Final = 3 * 86_400.0
EVERY: Final = LASTS / 3  # seconds after which a list is signed again, without a change


@dataclass(slots=True)
class OwnLists:
    engine: Engine
    lock: FileLock | None
    authority: EmbeddedAuthority
    clock: Callable[[], float] = time.time
    _revision: int = -1
    _until: float = 0.0

    async def run_once(self, lease: Lease) -> int:
        await asyncio.to_thread(self._look, lease)
        return 0

    def _look(self, lease: Lease) -> None:
        now = self.clock()
        with self.engine.connect() as connection:
            number = revision(connection)
        if number == self._revision and self._until - EVERY <= now < self._until:  # unless the clock was put back
            return
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            renew(connection, self.authority, now)
        self._revision, self._until = number, now + EVERY


def renew(connection: Connection, authority: EmbeddedAuthority, now: float, *, all_of_them: bool = False) -> None:
    """Signs the lists again that are not exact, have lived a third of their time, or are dated in the future.

    `all_of_them`: for who needs to know the state of this very moment.
    """
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
            not all_of_them
            and before is not None
            and before.this_update <= now < before.this_update + EVERY
            and _lists_exactly(before.crl, own, mine)
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


def _lists_exactly(crl: bytes, issuer: x509.Certificate, revoked: Sequence[Revoked]) -> bool:
    stored = x509.load_der_x509_crl(crl)
    serials = {each.serial_number for each in stored}
    return stored.issuer == issuer.subject and serials == {each.serial for each in revoked}


def _is_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # another name, another key
        return False
    return True


TASK = PeriodicTask(
    "revocation lists are not made",
    lambda services: OwnLists(services.engine, services.lock, EmbeddedAuthority(services.settings)),
    seconds=1.0,
)
