"""Revocation lists (RFC 5280 §5) and OCSP answers (RFC 6960), accepted only if proved; makes lists for our issuers.

A strict profile. Invariants: an accepted list or answer
- is signed, with SHA-256 or better, by the certificate's issuer or by a responder that the issuer appointed
  (OCSPSigning);
- is neither from the future nor out of date;
- covers all certificates and all reasons (no delta, indirect or partial-reason list), or just the partition that the
  certificate names.
Anything else is `Unproven`, and changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from security.algorithms import certificate_digest, is_public
from security.keys import UNREADABLE
from security.pki.authority import Authority

AHEAD: Final = 300.0  # seconds that the authority's clock may be ahead
UNDATED: Final = 3600.0  # validity in seconds of an OCSP answer without nextUpdate
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Unproven(ValueError):
    """A list or answer that was not proved; the text says why."""


class Status(NamedTuple):
    """The status of one certificate. `digest` is that of the list or answer, in hex."""

    source: Literal["crl", "ocsp"]
    good: bool
    this_update: float
    next_update: float
    digest: str
    revoked: float | None = None
    reason: str | None = None


# --- lists ------------------------------------------------------------------------------------------------------------


class RevocationList(NamedTuple):
    """A proved list, and the certificate of the authority that signed it."""

    crl: x509.CertificateRevocationList
    issuer: x509.Certificate
    digest: str
    partition: frozenset[str]  # of a partial list: the addresses of its part
    kinds: Literal["all", "authorities", "others"]  # the kind of certificates it covers


def read_crl(data: bytes, authority: Iterable[x509.Certificate], now: float) -> RevocationList:
    """A list (DER or PEM), signed by one of these authorities and in date."""
    try:
        crl = x509.load_pem_x509_crl(data) if data.lstrip().startswith(b"-----") else x509.load_der_x509_crl(data)
        if not isinstance(crl.signature_hash_algorithm, (*_HASHES, type(None))):
            raise Unproven("the list is signed with a hash that is broken")
        issuer = next((each for each in authority if each.subject == crl.issuer and _signs(each, crl)), None)
        if issuer is None:
            raise Unproven("the list is not signed by this authority")
        partition, kinds = _scope(crl)
        _check_dates("list", crl.last_update_utc, crl.next_update_utc, now)
    except Unproven:
        raise
    except UNREADABLE as error:
        raise Unproven(f"not a revocation list: {error}") from None
    return RevocationList(crl, issuer, hashlib.sha256(crl.public_bytes(Encoding.DER)).hexdigest(), partition, kinds)


def listed(revocations: RevocationList, certificate: x509.Certificate) -> Status | None:
    """The status of a certificate by a list; None where the list does not cover it."""
    if certificate.issuer != revocations.crl.issuer or revocations.kinds == (
        "others" if _is_authority(certificate) else "authorities"
    ):
        return None
    if revocations.partition and not revocations.partition & _points(certificate):
        return None
    next_update = revocations.crl.next_update_utc
    assert next_update is not None
    dates = revocations.crl.last_update_utc.timestamp(), next_update.timestamp()
    entry = revocations.crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return Status("crl", True, *dates, revocations.digest)
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, *UNREADABLE):  # revoked for any reason
        reason = x509.ReasonFlags.unspecified.value
    revoked = entry.revocation_date_utc.timestamp()
    return Status("crl", False, *dates, revocations.digest, revoked=revoked, reason=reason)


def _signs(issuer: x509.Certificate, crl: x509.CertificateRevocationList) -> bool:
    public = issuer.public_key()
    if not is_public(public):
        return False
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return crl.is_signature_valid(public)
    return usage.crl_sign and crl.is_signature_valid(public)


def _scope(crl: x509.CertificateRevocationList) -> tuple[frozenset[str], Literal["all", "authorities", "others"]]:
    """The coverage of a list; unknown critical extensions are rejected."""
    partition: frozenset[str] = frozenset()
    kinds: Literal["all", "authorities", "others"] = "all"
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.DeltaCRLIndicator):
            raise Unproven("a delta list, which says nothing of the rest")
        if isinstance(value, x509.IssuingDistributionPoint):
            if (
                value.indirect_crl
                or value.only_some_reasons
                or value.only_contains_attribute_certs
                or value.relative_name
            ):
                raise Unproven("an indirect list, or one of some reasons")
            partition = _uris(value.full_name or ())
            kinds = (
                "authorities" if value.only_contains_ca_certs else "others" if value.only_contains_user_certs else "all"
            )
        elif extension.critical:
            raise Unproven(f"the list has a critical extension {extension.oid.dotted_string}")
    return partition, kinds


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _points(certificate: x509.Certificate) -> frozenset[str]:
    """The list addresses in a certificate: compared, never fetched."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    return frozenset(uri for point in points for uri in _uris(point.full_name or ()))


def _uris(names: Iterable[x509.GeneralName]) -> frozenset[str]:
    return frozenset(each.value for each in names if isinstance(each, x509.UniformResourceIdentifier))


# --- OCSP -------------------------------------------------------------------------------------------------------------


def ask(certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes) -> bytes:
    """An OCSP request (DER). SHA-1 only names the issuer, as responders expect (RFC 5019); it proves nothing."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())
    return builder.add_extension(x509.OCSPNonce(nonce), critical=False).build().public_bytes(Encoding.DER)


def read_ocsp(data: bytes, certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes, now: float) -> Status:
    """The status in the answer to that request."""
    try:
        answer = ocsp.load_der_ocsp_response(data)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise Unproven(f"the responder says {answer.response_status.name}")
        for extension in answer.extensions:
            if isinstance(extension.value, x509.OCSPNonce) and extension.value.nonce != nonce:
                raise Unproven("an answer to another question")
        _check_responder(answer, issuer, now)
        single = next((each for each in answer.responses if _is_about(each, certificate, issuer)), None)
        if single is None:
            raise Unproven("the answer is about another certificate")
        if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
            raise Unproven("the responder does not know the certificate")
        start, end = single.this_update_utc, single.next_update_utc
        _check_dates("answer", start, end or datetime.fromtimestamp(start.timestamp() + UNDATED, UTC), now)
    except Unproven:
        raise
    except UNREADABLE as error:
        raise Unproven(f"not an OCSP answer: {error}") from None
    until = end.timestamp() if end is not None else start.timestamp() + UNDATED
    digest = hashlib.sha256(data).hexdigest()
    if single.certificate_status is ocsp.OCSPCertStatus.GOOD:
        return Status("ocsp", True, start.timestamp(), until, digest)
    reason = single.revocation_reason or x509.ReasonFlags.unspecified
    when = single.revocation_time_utc
    revoked = when.timestamp() if when is not None else None
    return Status("ocsp", False, start.timestamp(), until, digest, revoked=revoked, reason=reason.value)


def _check_responder(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: float) -> None:
    """Signed by the issuer, or by a responder that the issuer appointed."""
    for responder in (issuer, *answer.certificates):
        if responder is not issuer and not _is_appointed(responder, issuer, now):
            continue
        if answer.responder_name not in (None, responder.subject) or answer.responder_key_hash not in (
            None,
            hashlib.sha1(_key_bits(responder), usedforsecurity=False).digest(),
        ):
            continue
        if not isinstance(answer.signature_hash_algorithm, (*_HASHES, type(None))):
            raise Unproven("the answer is signed with a hash that is broken")
        if _verifies(responder, answer):
            return
    raise Unproven("the answer is signed neither by the authority nor by a responder that it appointed")


def _is_appointed(responder: x509.Certificate, issuer: x509.Certificate, now: float) -> bool:
    try:
        responder.verify_directly_issued_by(issuer)
        uses = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    in_time = responder.not_valid_before_utc.timestamp() <= now < responder.not_valid_after_utc.timestamp()
    return in_time and ExtendedKeyUsageOID.OCSP_SIGNING in uses


def _verifies(responder: x509.Certificate, answer: ocsp.OCSPResponse) -> bool:
    public, algorithm = responder.public_key(), answer.signature_hash_algorithm
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(answer.signature, answer.tbs_response_bytes)
        elif isinstance(public, ec.EllipticCurvePublicKey) and algorithm is not None:
            public.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(public, rsa.RSAPublicKey) and algorithm is not None:
            public.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _is_about(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    algorithm = single.hash_algorithm
    name = hashlib.new(algorithm.name, issuer.subject.public_bytes()).digest()
    key = hashlib.new(algorithm.name, _key_bits(issuer)).digest()
    return (single.serial_number, single.issuer_name_hash, single.issuer_key_hash) == (
        certificate.serial_number,
        name,
        key,
    )


def _key_bits(certificate: x509.Certificate) -> bytes:
    """The key as RFC 6960 hashes it: the bit string alone."""
    public = certificate.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if isinstance(public, rsa.RSAPublicKey):
        return public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _check_dates(what: str, start: datetime, end: datetime | None, now: float) -> None:
    if end is None:
        raise Unproven(f"the {what} does not say until when it holds")
    if start.timestamp() > now + AHEAD:
        raise Unproven(f"the {what} comes from the future ({start:%Y-%m-%dT%H:%M:%SZ})")
    if end.timestamp() <= now:
        raise Unproven(f"the {what} is out of date since {end:%Y-%m-%dT%H:%M:%SZ}")


# --- lists of our own -------------------------------------------------------------------------------------------------


class Revoked(NamedTuple):
    """One revoked certificate; `at` in Unix seconds, `reason` as in RFC 5280 §5.3.1."""

    serial: int
    at: float
    reason: str


def make_crl(issuer: Authority, revoked: Sequence[Revoked], number: int, now: float, lasts: float) -> bytes:
    """A complete list of the certificates that an issuer of the embedded authority revoked (DER)."""
    start, end = (datetime.fromtimestamp(int(moment), UTC) for moment in (now, now + lasts))
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(start)
        .next_update(end)
    )
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    )
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    for each in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(each.serial)
            .revocation_date(datetime.fromtimestamp(int(each.at), UTC))
        )
        flag = x509.ReasonFlags(each.reason)
        if flag is not x509.ReasonFlags.unspecified:  # RFC 5280 §5.3.1: omitted for unspecified
            entry = entry.add_extension(x509.CRLReason(flag), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.private, certificate_digest(issuer.private)).public_bytes(Encoding.DER)
