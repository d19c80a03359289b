"""The embedded certification authority: an offline root, an issuer for TLS, one for signing and encryption.

Standard: X.509 v3 (RFC 5280). It serves the sandbox and provinces without an authority of their own. Certificates name
a system by the URI `urn:lgsp:system:<id>` in subjectAltName. They pass OpenSSL's strict checks (default in Python
3.13). Invariant: TLS certificates are valid at most 90 days, signing and encryption certificates at most a year, and
none beyond its issuer. An encryption certificate has only the key usage keyEncipherment (RSA) or keyAgreement (EC).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from security.algorithms import (
    PrivateKey,
    PublicKey,
    certificate_digest,
    is_private,
    is_public,
    natural_algorithm,
    new_private,
)
from security.errors import KEY_UNACCEPTABLE
from security.keys import UNREADABLE

URI: Final = "urn:lgsp:system:"
GATEWAY: Final = "gateway"  # the gateway's name in its certificates; reserved
ROOT_DAYS: Final = 7300
ISSUER_DAYS: Final = 1825
TLS_DAYS: Final = 90
SIGNING_DAYS: Final = 365
ORGANISATION: Final = "LGSP"
ISSUED_RSA_BITS: Final = 3072  # of certified keys; other authorities may certify 2048
# Certificates start slightly in the past, for callers whose clock is behind.
_BACKDATE: Final = timedelta(minutes=5)
_DOCUMENT_SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336


def private_pem(private: PrivateKey, password: bytes | None = None) -> bytes:
    """PKCS#8; unencrypted without a password."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that may issue others, with its private key and the certificates above it (issuer first)."""

    certificate: x509.Certificate
    private: PrivateKey = field(repr=False, compare=False)
    above: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        return certificate_pem(self.certificate)

    def private_pem(self, password: bytes | None = None) -> bytes:
        return private_pem(self.private, password)

    @classmethod
    def from_pem(
        cls, certificate: bytes, private: bytes, above: Sequence[bytes] = (), password: bytes | None = None
    ) -> Authority:
        key = serialization.load_pem_private_key(private, password)
        if not is_private(key):
            raise KEY_UNACCEPTABLE(rule=type(key).__name__)
        own = x509.load_pem_x509_certificate(certificate)
        if own.public_key() != key.public_key():
            raise KEY_UNACCEPTABLE(rule="certificate ≠ private key")
        return cls(own, key, tuple(x509.load_pem_x509_certificate(c) for c in above))


def make_root(name: str, now: float) -> Authority:
    """A self-signed root with a new P-256 key; `now` in Unix seconds."""
    private = new_private()
    subject = _subject(name, ORGANISATION)
    builder = _builder(subject, subject, private.public_key(), now, ROOT_DAYS, None)
    builder = _as_issuer(builder, path_length=1)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
    return Authority(_sign(builder, private), private)


def make_hostless(name: str, now: float) -> Authority:
    """A self-signed issuer for systems that nobody approved. Its name constraints (RFC 5280 §4.2.1.10) exclude every
    host, so that a server whose certificate it issued passes for no host, even where it is trusted by mistake.
    """
    private = new_private()
    subject = _subject(name, ORGANISATION)
    builder = _as_issuer(_builder(subject, subject, private.public_key(), now, ROOT_DAYS, None), path_length=0)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
    networks = map(ipaddress.ip_network, ("0.0.0.0/0", "::/0"))
    every: list[x509.GeneralName] = [x509.DNSName(""), *map(x509.IPAddress, networks)]
    excluded = x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=every)
    builder = builder.add_extension(excluded, critical=True)
    return Authority(_sign(builder, private), private)


def make_issuer(root: Authority, name: str, now: float, *, days: int = ISSUER_DAYS) -> Authority:
    """An issuer below the root; TLS and signing have separate ones, so that neither can replace the other."""
    private = new_private()
    builder = _below(root, _subject(name, ORGANISATION), private.public_key(), now, days)
    return Authority(_sign(_as_issuer(builder, path_length=0), root.private), private, (root.certificate, *root.above))


def issue_server(issuer: Authority, public: PublicKey, hosts: Sequence[str], now: float) -> bytes:
    """The gateway's TLS certificate: server under `hosts`, and client of providers."""
    return issue_tls(issuer, GATEWAY, public, now, hosts=hosts)


def issue_tls(
    issuer: Authority,
    system: str,
    public: PublicKey,
    now: float,
    *,
    hosts: Sequence[str] = (),
    agency: str = "",
    serves: bool = False,
) -> bytes:
    """A system's TLS certificate (PEM): for a client, and with `hosts` (names or addresses) also for a server.
    `serves`: also for a server that is known by its system's name alone. So its common name can be no host's either.
    """
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(URI + system), *map(_host, hosts)]
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts or serves else [])]
    subject = _subject(URI + system if serves else system, agency)
    return _leaf(issuer, subject, public, now, TLS_DAYS, _Use(names, uses, _usage(signs=True)))


def issue_named(issuer: Authority, uri: str, public: PublicKey, now: float, expires: float) -> bytes:
    """A TLS client's certificate (PEM) for a name that is no system's, valid until `expires` (Unix seconds)."""
    name = uri.rpartition(":")[2]
    use = _Use([x509.UniformResourceIdentifier(uri)], [ExtendedKeyUsageOID.CLIENT_AUTH], _usage(signs=True))
    until = datetime.fromtimestamp(int(expires), UTC)
    return _leaf(issuer, _subject(name, ORGANISATION), public, now, TLS_DAYS, use, until)


def issue_signing(issuer: Authority, system: str, public: PublicKey, now: float, *, agency: str = "") -> bytes:
    """A system's signing certificate (PEM); its extended key usage excludes TLS."""
    names = [x509.UniformResourceIdentifier(URI + system)]
    use = _Use(names, [_DOCUMENT_SIGNING], _usage(signs=True, commits=True))
    return _leaf(issuer, _subject(system, agency), public, now, SIGNING_DAYS, use)


def issue_encryption(issuer: Authority, system: str, public: PublicKey, now: float, *, agency: str = "") -> bytes:
    """A system's encryption certificate (PEM): RSA for either protocol, P-256 for JOSE only."""
    is_rsa = isinstance(public, rsa.RSAPublicKey)
    if not is_rsa and not isinstance(public, ec.EllipticCurvePublicKey):
        raise KEY_UNACCEPTABLE(rule=f"{type(public).__name__}: RSA, EC P-256")
    names = [x509.UniformResourceIdentifier(URI + system)]
    use = _Use(names, [], _usage(enciphers=is_rsa, agrees=not is_rsa))
    return _leaf(issuer, _subject(system, agency), public, now, SIGNING_DAYS, use)


def make_request(system: str, private: PrivateKey, *, hosts: Sequence[str] = ()) -> bytes:
    """A certificate request (PKCS#10, PEM), made where the system's key is."""
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(URI + system), *map(_host, hosts)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(system, ""))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(private, certificate_digest(private)).public_bytes(serialization.Encoding.PEM)


class Requested(NamedTuple):
    """The content of a certificate request. `hosts` are names and addresses for a server's certificate."""

    system: str
    public: PublicKey
    hosts: tuple[str, ...] = ()


def read_request(pem: bytes) -> Requested:
    """A request (PKCS#10, RFC 2986, PEM). Other requested properties are ignored.

    Its signature proves possession of the key. KEY_UNACCEPTABLE otherwise.
    """
    try:
        request = x509.load_pem_x509_csr(pem)
        public = request.public_key()
        if not request.is_signature_valid:
            raise KEY_UNACCEPTABLE(rule="PKCS#10 signature")
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (*UNREADABLE, InvalidSignature, x509.ExtensionNotFound):
        raise KEY_UNACCEPTABLE(rule=f"PKCS#10, subjectAltName {URI}…") from None
    natural_algorithm(public)
    assert is_public(public)
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < ISSUED_RSA_BITS:
        raise KEY_UNACCEPTABLE(rule=f"RSA {public.key_size} < {ISSUED_RSA_BITS}")
    hosts = (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))
    return Requested(_system(names), public, hosts)


def system_of(certificate: x509.Certificate) -> str | None:
    """The system that a certificate names; None for none. KEY_UNACCEPTABLE for several, or if unreadable."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    except UNREADABLE:
        raise KEY_UNACCEPTABLE(rule="X.509 extensions") from None
    return _system(names) if _systems(names) else None


def _system(names: x509.SubjectAlternativeName) -> str:
    systems = _systems(names)
    if len(systems) != 1:
        raise KEY_UNACCEPTABLE(rule=f"subjectAltName {URI}… × 1")
    return systems[0]


def _systems(names: x509.SubjectAlternativeName) -> list[str]:
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    # RFC 8141: the first parts are not case-sensitive.
    return [each[len(URI) :] for each in uris if each.lower().startswith(URI) and len(each) > len(URI)]


def _subject(name: str, organisation: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: PublicKey, now: float, days: int, until: datetime | None
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(int(now), UTC)
    end = start + timedelta(days=days) - _BACKDATE  # the total validity is within the limit
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start - _BACKDATE)
    return builder.not_valid_after(end if until is None else min(end, until))


def _below(
    issuer: Authority, subject: x509.Name, public: PublicKey, now: float, days: int, until: datetime | None = None
) -> x509.CertificateBuilder:
    above = issuer.certificate
    last = above.not_valid_after_utc
    builder = _builder(subject, above.subject, public, now, days, last if until is None else min(last, until))
    identifier = above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    )


def _usage(
    *, signs: bool = False, commits: bool = False, issues: bool = False, enciphers: bool = False, agrees: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=commits,
        key_encipherment=enciphers,
        data_encipherment=False,
        key_agreement=agrees,
        key_cert_sign=issues,
        crl_sign=issues,
        encipher_only=False,
        decipher_only=False,
    )


def _as_issuer(builder: x509.CertificateBuilder, path_length: int) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    return builder.add_extension(_usage(issues=True), critical=True)


class _Use(NamedTuple):
    """The subject names of a certificate and its permitted uses."""

    names: Sequence[x509.GeneralName]
    extended: Sequence[x509.ObjectIdentifier]
    usage: x509.KeyUsage


def _leaf(
    issuer: Authority,
    subject: x509.Name,
    public: PublicKey,
    now: float,
    days: int,
    use: _Use,
    until: datetime | None = None,
) -> bytes:
    natural_algorithm(public)
    builder = _below(issuer, subject, public, now, days, until)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(use.usage, critical=True)
    if use.extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(use.extended), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(use.names), critical=False)
    return certificate_pem(_sign(builder, issuer.private))


def _sign(builder: x509.CertificateBuilder, private: PrivateKey) -> x509.Certificate:
    return builder.sign(private, certificate_digest(private))
