"""Validates the certificates of a package: trusted authority, in force, not revoked at that time (RFC 5280).

Invariant: a revocation list counts only if a trusted authority signed it. Of several the earliest time counts.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from gateway.audit.verifier.findings import Findings
from gateway.sample_client.signing import Verifier


@dataclass(frozen=True, slots=True)
class Known:
    """The certificates that are valid at `moment`, by key id."""

    by_id: Mapping[str, Verifier]
    moment: float

    def by_thumbprint(self, mark: bytes) -> Verifier | None:
        return next((each for each in self.by_id.values() if each.thumbprint == mark), None)


def certificates_of(
    findings: Findings, files: Mapping[str, bytes], authorities: bytes | None, entries: Sequence[dict[str, Any]]
) -> Known:
    moment = min((datetime.fromisoformat(entry["at"]).timestamp() for entry in entries), default=0.0)
    own = files.get("certificates/authorities.pem", b"")
    trusted = x509.load_pem_x509_certificates(authorities if authorities is not None else own)
    between = x509.load_pem_x509_certificates(own) if own else []
    # An authority counts if a trusted one certified it, wherever its certificate lies.
    issuers = [
        each
        for each in dict.fromkeys([*trusted, *between])
        if not _why_not(each, trusted, between, moment, {}) and _signs_lists(each)
    ]
    revoked, known_at = _revoked(findings, files, issuers)
    # An invalid certificate is no fault of the package, unless it signed something: then its key is not found.
    good: dict[str, Verifier] = {}
    for name in sorted(each for each in files if each.startswith("certificates/") and each.endswith(".crt")):
        key_id = name.removeprefix("certificates/").removesuffix(".crt")
        try:
            certificate = x509.load_pem_x509_certificate(files[name])
            why = _why_not(certificate, trusted, between, moment, revoked)
        except ValueError as wrong:
            why, certificate = f"cannot be read: {wrong}", None
        if why or certificate is None:
            findings.notes.append(f"{name}: {why}")
            continue
        good[key_id] = Verifier(key_id, certificate)
        at = known_at.get(certificate.issuer)
        if at is None or at < moment:
            findings.notes.append(
                f"{name}: whether it was revoked by then is not known here: "
                f"{'no list' if at is None else 'an older list'} of its issuer"
            )
    return Known(good, moment)


def _signs_lists(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _signs(issuer: x509.Certificate, crl: x509.CertificateRevocationList) -> bool:
    return issuer.subject == crl.issuer and crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]


def _revoked(
    findings: Findings, files: Mapping[str, bytes], issuers: Sequence[x509.Certificate]
) -> tuple[dict[tuple[x509.Name, int], float], dict[x509.Name, float]]:
    """When each certificate was revoked (the earliest time in any list), and the time of each issuer's newest list."""
    gone: dict[tuple[x509.Name, int], float] = {}
    known_at: dict[x509.Name, float] = {}
    for name in sorted(each for each in files if each.endswith(".crl")):
        crl = x509.load_der_x509_crl(files[name])
        issuer = next((each for each in issuers if _signs(each, crl)), None)
        if not findings.add(
            name,
            issuer is not None,
            f"of {crl.last_update_utc:%Y-%m-%d %H:%M} UTC" if issuer else "not of a trusted authority",
        ):
            continue
        known_at[crl.issuer] = max(known_at.get(crl.issuer, 0.0), crl.last_update_utc.timestamp())
        for each in crl:
            at, key = each.revocation_date_utc.timestamp(), (crl.issuer, each.serial_number)
            gone[key] = min(gone.get(key, at), at)
    return gone, known_at


def _why_not(
    certificate: x509.Certificate,
    trusted: Sequence[x509.Certificate],
    between: Sequence[x509.Certificate],
    moment: float,
    revoked: Mapping[tuple[x509.Name, int], float],
) -> str:
    at, here = datetime.fromtimestamp(moment, UTC), certificate
    for _ in range(8):
        if not here.not_valid_before_utc <= at <= here.not_valid_after_utc:
            return f"{here.subject.rfc4514_string()} was not in force on {at:%Y-%m-%d}"
        if revoked.get((here.issuer, here.serial_number), moment) < int(moment):  # lists have whole seconds
            return f"{here.subject.rfc4514_string()} was revoked before"
        if here in trusted:
            return ""
        issuer = next(
            (each for each in (*trusted, *between) if each.subject == here.issuer and _issued(each, here)), None
        )
        if issuer is None or issuer == here:
            return f"{here.subject.rfc4514_string()} leads to no trusted authority"
        here = issuer
    return "its chain is too long"


@lru_cache(maxsize=131_072)  # certificates of one name are tried with each other
def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return True


def systems_of(certificate: x509.Certificate) -> set[str]:
    """The systems that a certificate names: `urn:lgsp:system:<id>`, else its common name."""
    prefix = "urn:lgsp:system:"
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.UniformResourceIdentifier
        )
    except x509.ExtensionNotFound:
        names = []
    systems = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return systems or {str(each.value) for each in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)}


def unmark(mark: str) -> bytes:
    return base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4))
