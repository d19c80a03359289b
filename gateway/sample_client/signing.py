"""Signing and verifying keys, as all profiles use them, with raw signatures.

ECDSA signatures travel as r||s of 32 bytes each (RFC 9421 §3.3.4, RFC 7518 §3.4, RFC 4050, XML-DSig 1.1).
`cryptography` uses DER, so both directions convert. Invariant: the key determines the algorithm, never the message.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gateway.sample_client.errors import BadIdentity

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

_XML: Final = {
    "ecdsa-p256-sha256": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "rsa-sha256": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
}
_JOSE: Final = {"ecdsa-p256-sha256": "ES256", "ed25519": "EdDSA"}

Form = Literal["http", "xml", "jose"]  # what is signed: an HTTP message, ds:SignedInfo or a JWS
_PKCS1: Final = (padding.PKCS1v15(), SHA256())
# The signature schemes of an RSA key. HTTP has two: the registration of the key chooses one.
_RSA: Final = {
    "http": (_PKCS1, (padding.PSS(padding.MGF1(SHA512()), SHA512.digest_size), SHA512())),
    "xml": (_PKCS1,),
    "jose": ((padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size), SHA256()),),
}


_NEW = "Make a key on P-256, and have its certificate request enrolled (docs/client.md)"


def _algorithm(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ecdsa-p256-sha256"
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        if key.key_size < 2048:
            raise BadIdentity("an RSA key of less than 2048 bits is refused by the profile", _NEW)
        return "rsa-sha256"
    raise BadIdentity("the profile knows keys on P-256, Ed25519 and, for SOAP, RSA", _NEW)


def sign_raw(key: PrivateKey, data: bytes) -> bytes:
    """A signature in the form of the profiles."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, padding.PKCS1v15(), SHA256())


@dataclass(frozen=True, slots=True)
class Signer:
    """A private signing key with its registered id and certificate."""

    key_id: str
    key: PrivateKey
    certificate: x509.Certificate

    @classmethod
    def from_pem(cls, key_id: str, key_pem: bytes, certificate_pem: bytes) -> Signer:
        key = load_pem_private_key(key_pem, None)
        certificate = x509.load_pem_x509_certificates(certificate_pem)[0]
        if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
            raise BadIdentity("the profile knows keys on P-256, Ed25519 and, for SOAP, RSA", _NEW)
        if key.public_key() != certificate.public_key():
            raise BadIdentity(
                "the signing key and the signing certificate are not a pair",
                "Put the certificate here that was issued for this key, or have the key enrolled",
            )
        _algorithm(key)
        return cls(key_id, key, certificate)

    @property
    def algorithm(self) -> str:
        return _algorithm(self.key)

    @property
    def xml_algorithm(self) -> str:
        try:
            return _XML[self.algorithm]
        except KeyError:
            raise BadIdentity("SOAP knows keys on P-256 and RSA only; this one is Ed25519", _NEW) from None

    @property
    def jose_algorithm(self) -> str:
        try:
            return _JOSE[self.algorithm]
        except KeyError:
            raise BadIdentity("REST knows keys on P-256 and Ed25519 only; this one is RSA", _NEW) from None

    @property
    def certificate_der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def sign(self, data: bytes) -> bytes:
        return sign_raw(self.key, data)


@dataclass(frozen=True, slots=True)
class Verifier:
    """The other side's signing certificate, pinned."""

    key_id: str
    certificate: x509.Certificate

    @property
    def algorithm(self) -> str:
        return _algorithm(self.certificate.public_key())

    @property
    def http_algorithms(self) -> tuple[str, ...]:
        return ("rsa-v1_5-sha256", "rsa-pss-sha512") if self.algorithm == "rsa-sha256" else (self.algorithm,)

    @property
    def xml_algorithm(self) -> str | None:
        return _XML.get(self.algorithm)

    @property
    def jose_algorithm(self) -> str:
        return _JOSE.get(self.algorithm, "PS256")

    @property
    def thumbprint(self) -> bytes:
        return hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).digest()

    def in_force(self, now: float) -> bool:
        moment = datetime.fromtimestamp(now, UTC)
        return self.certificate.not_valid_before_utc <= moment <= self.certificate.not_valid_after_utc

    def verify(self, data: bytes, signature: bytes, form: Form = "http") -> bool:
        return verify_raw(self.certificate.public_key(), data, signature, form)


def verify_raw(key: object, data: bytes, signature: bytes, form: Form = "http") -> bool:
    """Whether a raw signature is valid. Never raises on an invalid one."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            if len(signature) != 64 or not isinstance(key.curve, ec.SECP256R1):
                return False
            der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            key.verify(der, data, ec.ECDSA(SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, rsa.RSAPublicKey):
            return any(_holds(key, data, signature, *scheme) for scheme in _RSA[form])
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _holds(key: rsa.RSAPublicKey, data: bytes, signature: bytes, pad: AsymmetricPadding, digest: HashAlgorithm) -> bool:
    try:
        key.verify(signature, data, pad, digest)
    except InvalidSignature:
        return False
    return True
