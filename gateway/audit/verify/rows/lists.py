"""Checks the embedded authority's revocation lists against their rows and the registry's revocations.

Other systems rely on these lists. An old list in place of the newest one would undo a revocation for its readers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, select

from gateway.audit.verify.findings import Findings
from gateway.journal.schema import tables
from gateway.registry import restore_lock
from gateway.registry.records import REVOKED

Issuers = Mapping[str, x509.Certificate]
_WAITING: Final = 60.0  # seconds that a revocation may take to be written while a list is created


def check_lists(connection: Connection, issuers: Issuers | None, wrong: Findings) -> None:
    """Checks all lists. `issuers`: the authority's certificates by list name; None checks no signatures."""
    rows = connection.execute(select(tables.revocation_list).order_by(tables.revocation_list.c.issuer)).all()
    wrong.count("revocation lists", len(rows))
    restored = (restore_lock.newest_restore(connection) or {}).get("at", 0.0)
    revoked = _revoked(connection) if rows else []
    for row in rows:
        name = f"the revocation list {row.issuer}"
        try:
            crl = x509.load_der_x509_crl(bytes(row.crl))
            texts = [*_own(row, crl, restored), *_signed(row.issuer, crl, issuers), *_missing(row, crl, revoked)]
        except ValueError as trouble:
            texts = [f"what is stored is no list: {trouble}"]
        for text in texts:
            wrong.add(f"{name}: {text}")


def _own(row: Any, crl: x509.CertificateRevocationList, restored: float) -> Iterator[str]:
    """Compares row and list.

    A restore raises the number in the row, so that none is used twice, before the keeper signs the next list.
    """
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    if row.number != number and not (row.number > number and restored > row.this_update):
        yield f"its row says number {row.number}, the list {number}"
    for what, stored, signed in (
        ("this_update", row.this_update, crl.last_update_utc),
        ("next_update", row.next_update, crl.next_update_utc),
    ):
        if signed is None or int(stored) != int(signed.timestamp()):
            at = None if signed is None else int(signed.timestamp())
            yield f"its row says {what} {int(stored)}, the list {at} (Unix seconds)"


def _signed(issuer: str, crl: x509.CertificateRevocationList, issuers: Issuers | None) -> Iterator[str]:
    """The issuer of that name, or its predecessor, signed the list: the keeper signs the next list later."""
    if issuers is None:
        return
    if issuer not in issuers:
        yield "there is no such issuer"
        return
    own = [each for name, each in issuers.items() if name.partition("-")[0] == issuer.partition("-")[0]]
    if not any(crl.issuer == each.subject and crl.is_signature_valid(each.public_key()) for each in own):  # type: ignore[arg-type]
        yield "it is not signed by that issuer"


def _revoked(connection: Connection) -> list[tuple[str, x509.Certificate, float, float]]:
    """(key id, certificate, time of revocation, end of validity) of revoked keys; times in Unix seconds."""
    key = tables.system_key.c
    query = select(key.key_id, key.certificate, key.revoked, key.valid_until).where(
        key.state == REVOKED, key.authority.is_(None)
    )
    return [
        (id, x509.load_pem_x509_certificate(pem.encode("ascii")), at or 0.0, until)
        for id, pem, at, until in connection.execute(query.order_by(key.key_id))
    ]


def _missing(
    row: Any, crl: x509.CertificateRevocationList, revoked: list[tuple[str, x509.Certificate, float, float]]
) -> Iterator[str]:
    """Keys that were revoked before the list was created and had not expired are on it."""
    listed = {each.serial_number for each in crl}
    for id, certificate, at, until in revoked:
        if (
            at < row.this_update - _WAITING
            and row.this_update < until
            and certificate.issuer == crl.issuer
            and certificate.serial_number not in listed
        ):
            yield f"it lacks the key {id}, which was revoked before it was made"
