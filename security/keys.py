"""Signing and verifying keys, bound to X.509 certificates.

One object serves HTTP, XML and JOSE signatures (`security.algorithms`); the public key is parsed once.
Invariant: the algorithm comes from the registered key, never from the message; a weak key cannot become a `VerifyKey`.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from contracts.base.errors import Theirs
from security.algorithms import (
    ALGORITHMS,
    XML_METHODS,
    Check,
    PrivateKey,
    PublicKey,
    Sign,
    algorithm_for,
    is_private,
    is_public,
)
from security.errors import (
    KEY_UNACCEPTABLE,
    SIGNATURE_ALGORITHM,
    SIGNATURE_KEY_EXPIRED,
    SIGNATURE_KEY_STATUS_UNKNOWN,
    SIGNATURE_WRONG,
)
from security.grants.windows import civil

# Exceptions of reading foreign certificates, requests and lists.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def thumbprint(certificate_der: bytes) -> str:
    """base64url SHA-256 of a DER certificate, unpadded: `x5t#S256` of RFC 8705 and the registry's form."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate_der).digest()).rstrip(b"=").decode("ascii")


def load_certificate(certificate: bytes | str) -> x509.Certificate:
    """A certificate from PEM or DER. KEY_UNACCEPTABLE for anything else."""
    raw = certificate.encode("ascii", "replace") if isinstance(certificate, str) else certificate
    try:
        if raw.lstrip().startswith(b"-----"):
            return x509.load_pem_x509_certificate(raw)
        return x509.load_der_x509_certificate(raw)
    except UNREADABLE:
        raise KEY_UNACCEPTABLE(rule="X.509 PEM/DER") from None


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A registered public key of a system, with its certificate."""

    key_id: str
    system: str
    algorithm: str
    certificate_der: bytes
    thumbprint: str
    valid_from: float
    valid_until: float
    public: PublicKey = field(repr=False, compare=False)
    known_until: float = math.inf  # until when the revocation status is known, grace included
    # bound once, for speed
    _check: Check = field(init=False, repr=False, compare=False)
    _check_jose: Check = field(init=False, repr=False, compare=False)
    _check_xml: Check | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        declared = ALGORITHMS[self.algorithm]
        object.__setattr__(self, "_check", declared.http.checker(self.public))
        object.__setattr__(self, "_check_jose", declared.jose[1].checker(self.public))
        object.__setattr__(
            self, "_check_xml", declared.xml[1].checker(self.public) if declared.xml is not None else None
        )

    @property
    def jose(self) -> str:
        """The JWS `alg` of this key."""
        return ALGORITHMS[self.algorithm].jose[0]

    @property
    def xml_method(self) -> str | None:
        """The XML-DSig SignatureMethod of this key; None if there is none."""
        return ALGORITHMS[self.algorithm].xml_method

    @classmethod
    def from_certificate(
        cls, key_id: str, system: str, certificate: bytes | str, algorithm: str | None = None
    ) -> VerifyKey:
        parsed = load_certificate(certificate)
        try:
            public = parsed.public_key()
        except UNREADABLE:
            raise KEY_UNACCEPTABLE(rule="SubjectPublicKeyInfo") from None
        chosen = algorithm_for(public, algorithm)
        assert is_public(public)
        der = parsed.public_bytes(serialization.Encoding.DER)
        return cls(
            key_id=key_id,
            system=system,
            algorithm=chosen.name,
            certificate_der=der,
            thumbprint=thumbprint(der),
            valid_from=parsed.not_valid_before_utc.timestamp(),
            valid_until=parsed.not_valid_after_utc.timestamp(),
            public=public,
        )

    def verify(self, data: bytes, signature: bytes) -> None:
        """SIGNATURE_WRONG unless this key made `signature` over `data`."""
        self._verify(self._check, data, signature)

    def verify_xml(self, data: bytes, signature: bytes) -> None:
        """As `verify`, for XML-DSig."""
        if self._check_xml is None:
            raise SIGNATURE_WRONG(key=self.key_id)
        self._verify(self._check_xml, data, signature)

    def verify_jose(self, data: bytes, signature: bytes) -> None:
        """As `verify`, for JWS."""
        self._verify(self._check_jose, data, signature)

    def verify_jose_digest(self, digest: bytes, signature: bytes) -> None:
        """As `verify_jose`, of a text whose SHA-256 is `digest`. Only for a key that `signs_digests`."""
        scheme = ALGORITHMS[self.algorithm].jose_digest
        assert scheme is not None
        self._verify(scheme.checker(self.public), digest, signature)

    @property
    def signs_digests(self) -> bool:
        """Whether its JWS can be checked without the whole text in memory."""
        return ALGORITHMS[self.algorithm].jose_digest is not None

    def _verify(self, check: Check, data: bytes, signature: bytes) -> None:
        try:
            check(signature, data)
        except (InvalidSignature, ValueError):
            raise SIGNATURE_WRONG(key=self.key_id) from None

    def check_time(self, now: float) -> None:
        """SIGNATURE_KEY_EXPIRED outside the certificate's validity.

        SIGNATURE_KEY_STATUS_UNKNOWN where the revocation status is no longer known.
        """
        if not self.valid_from <= now <= self.valid_until:
            raise SIGNATURE_KEY_EXPIRED(
                key=self.key_id, valid_from=civil(self.valid_from), valid_until=civil(self.valid_until)
            )
        if now >= self.known_until:
            raise SIGNATURE_KEY_STATUS_UNKNOWN(
                key=self.key_id, since=civil(self.known_until) if self.known_until else "—"
            )


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of the gateway with its certificate."""

    key_id: str
    algorithm: str
    certificate_der: bytes
    private: PrivateKey = field(repr=False, compare=False)
    system: str = "gateway"
    _sign: Sign = field(init=False, repr=False, compare=False)  # bound once, for speed
    _sign_jose: Sign = field(init=False, repr=False, compare=False)
    _sign_xml: Sign | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        declared = ALGORITHMS[self.algorithm]
        object.__setattr__(self, "_sign", declared.http.signer(self.private))
        object.__setattr__(self, "_sign_jose", declared.jose[1].signer(self.private))
        object.__setattr__(
            self, "_sign_xml", declared.xml[1].signer(self.private) if declared.xml is not None else None
        )

    @property
    def jose(self) -> str:
        """The JWS `alg` of this key."""
        return ALGORITHMS[self.algorithm].jose[0]

    @property
    def xml_method(self) -> str:
        """The XML-DSig SignatureMethod of this key; SIGNATURE_ALGORITHM if there is none."""
        method = ALGORITHMS[self.algorithm].xml_method
        if method is None:
            raise self._not_in_xml()
        return method

    def _not_in_xml(self) -> Theirs:
        expected = ", ".join(method.partition("#")[2] for method in XML_METHODS)
        return SIGNATURE_ALGORITHM(where="ds:SignatureMethod", algorithm=self.algorithm, expected=expected)

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
        if not is_private(private):
            raise KEY_UNACCEPTABLE(rule=type(private).__name__)
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
        """KEY_UNACCEPTABLE if the certificate is not this key's."""
        parsed = load_certificate(certificate)
        public = private.public_key()
        if parsed.public_key() != public:
            raise KEY_UNACCEPTABLE(rule=f"{key_id}: certificate ≠ private key")
        return cls(
            key_id,
            algorithm_for(public, algorithm).name,
            parsed.public_bytes(serialization.Encoding.DER),
            private,
            system,
        )

    @property
    def thumbprint(self) -> str:
        return thumbprint(self.certificate_der)

    def verify_key(self) -> VerifyKey:
        """The public half, as in a registry."""
        return VerifyKey.from_certificate(self.key_id, self.system, self.certificate_der, self.algorithm)

    def sign(self, data: bytes) -> bytes:
        return self._sign(data)

    def sign_xml(self, data: bytes) -> bytes:
        """As `sign`, for XML-DSig; SIGNATURE_ALGORITHM if it lacks the algorithm."""
        if self._sign_xml is None:
            raise self._not_in_xml()
        return self._sign_xml(data)

    def sign_jose(self, data: bytes) -> bytes:
        """As `sign`, for JWS."""
        return self._sign_jose(data)

    @property
    def signs_digests(self) -> bool:
        """Whether it can make a JWS without the whole text in memory."""
        return ALGORITHMS[self.algorithm].jose_digest is not None

    def sign_jose_digest(self, digest: bytes) -> bytes:
        """As `sign_jose`, for a text whose SHA-256 is `digest`. Only for a key that `signs_digests`."""
        scheme = ALGORITHMS[self.algorithm].jose_digest
        assert scheme is not None
        return scheme.signer(self.private)(digest)
