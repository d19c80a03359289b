"""The revocation lists of the embedded authority: each row says what the signed list in it says, and the list has what the registry revoked.

Others decide by these lists. A list of the past in the place of the newest one would take a revocation back, at whoever fetches it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, select

from gateway.audit.verify.rows.findings import Findings
from gateway.journal.schema import tables
from gateway.registry import restore_lock
from gateway.registry.records import REVOKED

Issuers = Mapping[str, x509.Certificate]
_WAITING: Final = 60.0  # seconds for which a revocation may wait to be written, while a list is made


def check_lists(connection: Connection, issuers: Issuers | None, wrong: Findings) -> None:
    """`issuers` are the authority's certificates by the names of the lists; without them no signature is proved."""
    rows = connection.execute(select(tables.revocation_list).order_by(tables.revocation_list.c.issuer)).all()
    wrong.count("revocation lists", len(rows))
    restored = (restore_lock.newest_restore(connection) or {}).get("at", 0.0)
    revoked = _revoked(connection) if rows else []
    for row in rows:
        name = f"the revocation list {row.issuer}"
        try:
            found = x509.load_der_x509_crl(bytes(row.crl))
            texts = [*_own(row, found, restored), *_signed(row.issuer, found, issuers), *_missing(row, found, revoked)]
        except ValueError as trouble:
            texts = [f"what is stored is no list: {trouble}"]
        for text in texts:
            wrong.add(f"{name}: {text}")


def _own(row: Any, found: x509.CertificateRevocationList, restored: float) -> Iterator[str]:
    """A restore counts the number on, so that none is given twice; until the keeper signs the next list, the row alone says so."""
    number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    if row.number != number and not (row.number > number and restored > row.this_update):
        yield f"its row says number {row.number}, the list {number}"
    for what, said, signed in (
        ("this_update", row.this_update, found.last_update_utc),
        ("next_update", row.next_update, found.next_update_utc),
    ):
        if signed is None or int(said) != int(signed.timestamp()):
            yield f"its row says {what} {int(said)}, the list {None if signed is None else int(signed.timestamp())} (Unix seconds)"


def _signed(issuer: str, found: x509.CertificateRevocationList, issuers: Issuers | None) -> Iterator[str]:
    """By the issuer of that name, or by the one whose place it took: the keeper signs the next list in its own time."""
    if issuers is None:
        return
    if issuer not in issuers:
        yield "there is no such issuer"
        return
    own = [each for name, each in issuers.items() if name.partition("-")[0] == issuer.partition("-")[0]]
    if not any(found.issuer == each.subject and found.is_signature_valid(each.public_key()) for each in own):  # type: ignore[arg-type]
        yield "it is not signed by that issuer"


def _revoked(connection: Connection) -> list[tuple[str, x509.Certificate, float, float]]:
    """(key id, certificate, when it was revoked, until when it would hold)."""
    key = tables.system_key.c
    query = select(key.key_id, key.certificate, key.revoked, key.valid_until).where(
        key.state == REVOKED, key.authority.is_(None)
    )
    return [
        (id, x509.load_pem_x509_certificate(pem.encode("ascii")), at or 0.0, until)
        for id, pem, at, until in connection.execute(query.order_by(key.key_id))
    ]


def _missing(
    row: Any, found: x509.CertificateRevocationList, revoked: list[tuple[str, x509.Certificate, float, float]]
) -> Iterator[str]:
    """What was revoked before the list was made, and had not ended, stands on it."""
    there = {each.serial_number for each in found}
    for id, certificate, at, until in revoked:
        if (
            at < row.this_update - _WAITING
            and row.this_update < until
            and certificate.issuer == found.issuer
            and certificate.serial_number not in there
        ):
            yield f"it lacks the key {id}, which was revoked before it was made"
