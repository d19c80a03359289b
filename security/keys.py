"""Signing and verifying keys, bound to X.509 certificates.

One object serves the HTTP, XML and JOSE signatures: ECDSA values are raw r||s (RFC 9421 §3.3.4, RFC 7518 §3.4,
XML-DSig 1.1 §6.4.3 all ask for that form), the public key is parsed once.
Invariant: the algorithm comes from the registered key, never from the message; weak keys cannot be made into a `VerifyKey`.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from contracts.base.errors import Policy, Theirs
from security.grants.windows import civil

ECDSA_P256: Final = "ecdsa-p256-sha256"
ED25519: Final = "ed25519"
RSA_PKCS1: Final = "rsa-v1_5-sha256"
RSA_PSS: Final = "rsa-pss-sha512"
ALGORITHMS: Final = frozenset({ECDSA_P256, ED25519, RSA_PKCS1, RSA_PSS})

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_PS256: Final = "PS256"
_RSA: Final[dict[str, tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]]] = {
    RSA_PKCS1: (padding.PKCS1v15(), hashes.SHA256()),
    RSA_PSS: (padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64), hashes.SHA512()),
    _PS256: (padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32), hashes.SHA256()),
}
# What JOSE calls each kind of key's algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
JOSE: Final = {ECDSA_P256: "ES256", ED25519: "EdDSA", RSA_PKCS1: _PS256, RSA_PSS: _PS256}
MIN_RSA_BITS: Final = 2048
# The order of P-256's group: r and s lie in 1..n-1.
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# All that reading strangers' certificates, requests and lists may raise.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def thumbprint(certificate_der: bytes) -> str:
    """base64url SHA-256 of a DER certificate, unpadded: `x5t#S256` of RFC 8705 and the registry's form."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate_der).digest()).rstrip(b"=").decode("ascii")


def natural_algorithm(public: object) -> str:
    """The algorithm a key is used with unless the registry says otherwise; Theirs for keys that are not accepted."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        if isinstance(public.curve, ec.SECP256R1):
            return ECDSA_P256
        raise Theirs("key.unacceptable", rule=f"EC {public.curve.name}")
    if isinstance(public, ed25519.Ed25519PublicKey):
        return ED25519
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < MIN_RSA_BITS:
            raise Theirs("key.unacceptable", rule=f"RSA {public.key_size} < {MIN_RSA_BITS}")
        return RSA_PKCS1
    raise Theirs("key.unacceptable", rule=type(public).__name__)


def _chosen(public: object, algorithm: str | None) -> str:
    natural = natural_algorithm(public)
    if algorithm is None or algorithm == natural or (natural == RSA_PKCS1 and algorithm == RSA_PSS):
        return algorithm or natural
    raise Theirs("key.unacceptable", rule=f"{algorithm} ≠ {natural}")


def load_certificate(certificate: bytes | str) -> x509.Certificate:
    """A certificate from PEM or DER; Theirs when it is neither."""
    raw = certificate.encode("ascii", "replace") if isinstance(certificate, str) else certificate
    try:
        if raw.lstrip().startswith(b"-----"):
            return x509.load_pem_x509_certificate(raw)
        return x509.load_der_x509_certificate(raw)
    except UNREADABLE:
        raise Theirs("key.unacceptable", rule="X.509 PEM/DER") from None


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A registered public key of a system, with the certificate that names it."""

    key_id: str
    system: str
    algorithm: str
    certificate_der: bytes
    thumbprint: str
    valid_from: float
    valid_until: float
    public: PublicKey = field(repr=False, compare=False)
    known_until: float = math.inf  # until when its authority's word on revocation holds, grace included
    _check: Callable[[bytes, bytes], None] = field(
        init=False, repr=False, compare=False
    )  # signature, data; bound once, for it is hot

    def __post_init__(self) -> None:
        object.__setattr__(self, "_check", _checker(self.public, self.algorithm))

    @classmethod
    def from_certificate(
        cls, key_id: str, system: str, certificate: bytes | str, algorithm: str | None = None
    ) -> VerifyKey:
        parsed = load_certificate(certificate)
        try:
            public = parsed.public_key()
        except UNREADABLE:
            raise Theirs("key.unacceptable", rule="SubjectPublicKeyInfo") from None
        chosen = _chosen(public, algorithm)
        assert isinstance(public, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey)
        der = parsed.public_bytes(serialization.Encoding.DER)
        return cls(
            key_id,
            system,
            chosen,
            der,
            thumbprint(der),
            parsed.not_valid_before_utc.timestamp(),
            parsed.not_valid_after_utc.timestamp(),
            public,
        )

    def verify(self, data: bytes, signature: bytes) -> None:
        """Raises Theirs("signature.wrong") unless this key made `signature` over `data`."""
        try:
            self._check(signature, data)
        except (InvalidSignature, ValueError):
            raise Theirs("signature.wrong", key=self.key_id) from None

    def verify_xml(self, data: bytes, signature: bytes) -> None:
        """As `verify`, for XML-DSig, where an RSA key is always used with PKCS#1 v1.5 and SHA-256."""
        if self.algorithm != RSA_PSS:
            self.verify(data, signature)
            return
        try:
            _checker(self.public, RSA_PKCS1)(signature, data)
        except (InvalidSignature, ValueError):
            raise Theirs("signature.wrong", key=self.key_id) from None

    def verify_jose(self, data: bytes, signature: bytes) -> None:
        """As `verify`, for JWS, where an RSA key is always used as PS256."""
        if self.algorithm not in _RSA:
            self.verify(data, signature)
            return
        try:
            _checker(self.public, _PS256)(signature, data)
        except (InvalidSignature, ValueError):
            raise Theirs("signature.wrong", key=self.key_id) from None

    def check_time(self, now: float) -> None:
        """Raises Theirs("signature.key-expired") outside the certificate's validity, Policy where nobody can say any more that it is not revoked."""
        if not self.valid_from <= now <= self.valid_until:
            raise Theirs(
                "signature.key-expired",
                key=self.key_id,
                valid_from=civil(self.valid_from),
                valid_until=civil(self.valid_until),
            )
        if now >= self.known_until:
            raise Policy(
                "signature.key-status-unknown",
                key=self.key_id,
                since=civil(self.known_until) if self.known_until else "—",
            )


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of ours with its certificate."""

    key_id: str
    algorithm: str
    certificate_der: bytes
    private: PrivateKey = field(repr=False, compare=False)
    system: str = "gateway"
    _make: Callable[[bytes], bytes] = field(init=False, repr=False, compare=False)  # bound once, as in `VerifyKey`

    def __post_init__(self) -> None:
        object.__setattr__(self, "_make", _maker(self.private, self.algorithm))

    @classmethod
    def from_pem(
        cls,
        key_id: str,
        private_pem: bytes,
        certificate: bytes | str,
        *,
        algorithm: str | None = None,
        system: str = "gateway",
        password: bytes | None = None,
    ) -> SigningKey:
        private = serialization.load_pem_private_key(private_pem, password)
        if not isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
            raise Theirs("key.unacceptable", rule=type(private).__name__)
        return cls.make(key_id, private, certificate, algorithm=algorithm, system=system)

    @classmethod
    def make(
        cls,
        key_id: str,
        private: PrivateKey,
        certificate: bytes | str,
        *,
        algorithm: str | None = None,
        system: str = "gateway",
    ) -> SigningKey:
        """Theirs("key.unacceptable") when the certificate is not this key's."""
        parsed = load_certificate(certificate)
        public = private.public_key()
        if parsed.public_key() != public:
            raise Theirs("key.unacceptable", rule=f"{key_id}: certificate ≠ private key")
        return cls(key_id, _chosen(public, algorithm), parsed.public_bytes(serialization.Encoding.DER), private, system)

    @property
    def thumbprint(self) -> str:
        return thumbprint(self.certificate_der)

    def verify_key(self) -> VerifyKey:
        """The public half, as a registry would hold it."""
        return VerifyKey.from_certificate(self.key_id, self.system, self.certificate_der, self.algorithm)

    def sign(self, data: bytes) -> bytes:
        return self._make(data)

    def sign_xml(self, data: bytes) -> bytes:
        """As `sign`, for XML-DSig, where an RSA key is always used with PKCS#1 v1.5 and SHA-256."""
        return self._make(data) if self.algorithm != RSA_PSS else _maker(self.private, RSA_PKCS1)(data)

    def sign_jose(self, data: bytes) -> bytes:
        """As `sign`, for JWS, where an RSA key is always used as PS256."""
        return self._make(data) if self.algorithm not in _RSA else _maker(self.private, _PS256)(data)


def _checker(public: PublicKey, algorithm: str) -> Callable[[bytes, bytes], None]:
    """What raises unless the signature is right. Which kind of key it is, is asked once: these classes are abstract and slow to ask."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        verify = public.verify
        return lambda signature, data: verify(_der_from_raw(signature), data, _ECDSA)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return public.verify
    pad, digest = _RSA[algorithm]
    return lambda signature, data: public.verify(signature, data, pad, digest)


def _maker(private: PrivateKey, algorithm: str) -> Callable[[bytes], bytes]:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        sign = private.sign
        return lambda data: _raw_from_der(sign(data, _ECDSA))
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign
    pad, digest = _RSA[algorithm]
    return lambda data: private.sign(data, pad, digest)


def _raw_from_der(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _der_from_raw(raw: bytes) -> bytes:
    if len(raw) != 64:
        raise ValueError("an ECDSA P-256 signature has 64 bytes")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    if not (0 < r < _P256_ORDER and 0 < s < _P256_ORDER):
        raise ValueError("r or s out of range")
    return encode_dss_signature(r, s)
