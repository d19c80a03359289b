"""Keys for encrypting bodies (JWE, RFC 7516; XML Encryption 1.1), bound to X.509 certificates.

Both protocols use them: RSA (>= 2048 bits) for either, EC P-256 for JOSE only. The receiver's key determines the
algorithm that wraps a content key, never a message.
Invariant: a certificate whose key usage forbids encryption cannot become an `EncryptKey`, and a key that is too small
cannot become either class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from security.algorithms import MIN_RSA_BITS
from security.errors import KEY_UNACCEPTABLE
from security.keys import load_certificate, thumbprint

MAX_RSA_BITS: Final = 8192  # a limit on the cost of encrypting

PublicEncryptKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateDecryptKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def _accepted(public: object, certificate: x509.Certificate) -> PublicEncryptKey:
    """The key, if it may encrypt. KEY_UNACCEPTABLE for others."""
    if isinstance(public, rsa.RSAPublicKey):
        if not MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
            raise KEY_UNACCEPTABLE(rule=f"RSA {public.key_size}: {MIN_RSA_BITS} … {MAX_RSA_BITS}")
    elif not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        name = f"EC {public.curve.name}" if isinstance(public, ec.EllipticCurvePublicKey) else type(public).__name__
        raise KEY_UNACCEPTABLE(rule=f"{name}: RSA, EC P-256")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return public
    needed, allowed = (
        ("keyEncipherment", usage.key_encipherment)
        if isinstance(public, rsa.RSAPublicKey)
        else ("keyAgreement", usage.key_agreement)
    )
    if not allowed:
        raise KEY_UNACCEPTABLE(rule=f"keyUsage: {needed}")
    return public


def _public_of(certificate: x509.Certificate) -> PublicEncryptKey:
    try:
        return _accepted(certificate.public_key(), certificate)
    except ValueError:
        raise KEY_UNACCEPTABLE(rule="SubjectPublicKeyInfo") from None


@dataclass(frozen=True, slots=True)
class EncryptKey:
    """A registered public key for encrypting messages to a system."""

    key_id: str
    system: str
    certificate_der: bytes
    thumbprint: str
    valid_from: float
    valid_until: float
    public: PublicEncryptKey = field(repr=False, compare=False)

    @classmethod
    def from_certificate(cls, key_id: str, system: str, certificate: bytes | str) -> EncryptKey:
        parsed = load_certificate(certificate)
        public = _public_of(parsed)
        der = parsed.public_bytes(serialization.Encoding.DER)
        return cls(
            key_id=key_id,
            system=system,
            certificate_der=der,
            thumbprint=thumbprint(der),
            valid_from=parsed.not_valid_before_utc.timestamp(),
            valid_until=parsed.not_valid_after_utc.timestamp(),
            public=public,
        )

    def in_time(self, now: float) -> bool:
        return self.valid_from <= now < self.valid_until


@dataclass(frozen=True, slots=True)
class DecryptKey:
    """A private key of the gateway with the certificate that others encrypt for."""

    key_id: str
    certificate_der: bytes
    private: PrivateDecryptKey = field(repr=False, compare=False)

    @classmethod
    def from_pem(
        cls, key_id: str, private_pem: bytes, certificate: bytes | str, *, password: bytes | None = None
    ) -> DecryptKey:
        """KEY_UNACCEPTABLE if the certificate is not this key's."""
        private = serialization.load_pem_private_key(private_pem, password)
        parsed = load_certificate(certificate)
        public = _public_of(parsed)
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) or private.public_key() != public:
            raise KEY_UNACCEPTABLE(rule=f"{key_id}: certificate ≠ private key")
        return cls(key_id, parsed.public_bytes(serialization.Encoding.DER), private)

    @property
    def thumbprint(self) -> str:
        return thumbprint(self.certificate_der)

    def encrypt_key(self, system: str = "gateway") -> EncryptKey:
        """The public half, as in a registry."""
        return EncryptKey.from_certificate(self.key_id, system, self.certificate_der)


def newest(keys: Sequence[EncryptKey], now: float, kind: type[PublicEncryptKey] | None = None) -> EncryptKey | None:
    """The newest valid key (of one kind, if the protocol requires it); None if there is none."""
    fits = [each for each in keys if each.in_time(now) and (kind is None or isinstance(each.public, kind))]
    return max(fits, key=lambda each: each.valid_from, default=None)
