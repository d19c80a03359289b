"""Declares the signature algorithms: their names in each format, the keys they accept, how they sign and verify.

To add an algorithm, add one `Algorithm` to `_DECLARED` (and the names of its keys to `KeyType`): every format reads
this table.
Names: RFC 9421 §6.2.2 (HTTP signatures, and the registry), RFC 7518 §3.1 and RFC 8037 §3.1 (JOSE), RFC 9231 §2.3
(XML-DSig).
ECDSA values are raw r||s in all three formats (RFC 9421 §3.3.4, RFC 7518 §3.4, XML-DSig 1.1 §6.4.3).
Invariants:
- The registered key determines the algorithm, never a message. The first declared one that accepts a key is its
  default.
- No algorithm accepts a weak key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeGuard

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from security.errors import KEY_UNACCEPTABLE

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
KeyType = Literal["P-256", "Ed25519", "RSA-3072", "RSA-2048"]

Sign = Callable[[bytes], bytes]  # data to signature
Check = Callable[[bytes, bytes], None]  # signature, data; InvalidSignature or ValueError for a wrong signature

MIN_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a kind of key signs and verifies bytes. Both functions bind a key once, since it serves many messages."""

    signer: Callable[[Any], Sign]
    checker: Callable[[Any], Check]


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """A signature algorithm in all formats. `jose` and `xml`: its identifier and scheme there."""

    name: str
    http: Scheme
    jose: tuple[str, Scheme]
    xml: tuple[str, Scheme] | None  # None: not in XML-DSig
    takes: Callable[[object], bool]  # whether a public key has the right kind and strength
    key_words: str  # the kind of key, for messages
    new_keys: Mapping[KeyType, Callable[[], PrivateKey]]
    # The digest of certificates and requests that it signs.
    certificate_digest: Callable[[], hashes.SHA256 | hashes.SHA384 | hashes.SHA512] | None
    # The scheme of `jose` for a text that is given as its SHA-256; None: this algorithm needs the whole text.
    jose_digest: Scheme | None = None
    approves: bool = False  # whether officers may sign approvals by it

    @property
    def xml_method(self) -> str | None:
        return self.xml[0] if self.xml is not None else None


# --- schemes ----------------------------------------------------------------------------------------------------------


def _ecdsa(order: int, digest: hashes.HashAlgorithm | Prehashed) -> Scheme:
    """ECDSA on a curve whose group has this order; r and s are in 1..order-1."""
    size, scheme = (order.bit_length() + 7) // 8, ec.ECDSA(digest)

    def raw_from_der(der: bytes) -> bytes:
        r, s = decode_dss_signature(der)
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def der_from_raw(raw: bytes) -> bytes:
        if len(raw) != 2 * size:
            raise ValueError(f"this ECDSA signature has {2 * size} bytes")
        r, s = int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big")
        if not (0 < r < order and 0 < s < order):
            raise ValueError("r or s out of range")
        return encode_dss_signature(r, s)

    def signer(private: ec.EllipticCurvePrivateKey) -> Sign:
        sign = private.sign
        return lambda data: raw_from_der(sign(data, scheme))

    def checker(public: ec.EllipticCurvePublicKey) -> Check:
        verify = public.verify
        return lambda signature, data: verify(der_from_raw(signature), data, scheme)

    return Scheme(signer, checker)


def _rsa(pad: padding.AsymmetricPadding, digest: hashes.HashAlgorithm | Prehashed) -> Scheme:
    return Scheme(
        lambda private: lambda data: private.sign(data, pad, digest),
        lambda public: lambda signature, data: public.verify(signature, data, pad, digest),
    )


def _pss(digest: hashes.HashAlgorithm) -> Scheme:
    return _rsa(padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size), digest)


def _on_curve(curve: type[ec.EllipticCurve], public: object) -> bool:
    return isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, curve)


def _strong_rsa(public: object) -> bool:
    return isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS


def _new_rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


_P256: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P256_SHA256: Final = _ecdsa(_P256, hashes.SHA256())
_P256_DIGEST: Final = _ecdsa(_P256, Prehashed(hashes.SHA256()))
_ED25519: Final = Scheme(lambda private: private.sign, lambda public: public.verify)
_RSA_SHA256: Final = _rsa(padding.PKCS1v15(), hashes.SHA256())
_RSA_XML: Final = ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", _RSA_SHA256)
_RSA_JOSE: Final = ("PS256", _pss(hashes.SHA256()))
_RSA_DIGEST: Final = _rsa(padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32), Prehashed(hashes.SHA256()))
_RSA_KEYS: Final[Mapping[KeyType, Callable[[], PrivateKey]]] = {
    "RSA-3072": partial(_new_rsa, 3072),
    "RSA-2048": partial(_new_rsa, 2048),
}

# --- the algorithms ---------------------------------------------------------------------------------------------------

ECDSA_P256: Final = "ecdsa-p256-sha256"
ED25519: Final = "ed25519"
RSA_PKCS1: Final = "rsa-v1_5-sha256"
RSA_PSS: Final = "rsa-pss-sha512"

_DECLARED: Final = (
    Algorithm(
        name=ECDSA_P256,
        http=_P256_SHA256,
        jose=("ES256", _P256_SHA256),
        xml=("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", _P256_SHA256),
        takes=partial(_on_curve, ec.SECP256R1),
        key_words="EC P-256",
        new_keys={"P-256": partial(ec.generate_private_key, ec.SECP256R1())},
        certificate_digest=hashes.SHA256,
        jose_digest=_P256_DIGEST,
        approves=True,
    ),
    Algorithm(
        name=ED25519,
        http=_ED25519,
        jose=("EdDSA", _ED25519),
        xml=None,
        takes=lambda public: isinstance(public, ed25519.Ed25519PublicKey),
        key_words="Ed25519",
        new_keys={"Ed25519": ed25519.Ed25519PrivateKey.generate},
        certificate_digest=None,
        approves=True,
    ),
    Algorithm(
        name=RSA_PKCS1,
        http=_RSA_SHA256,
        jose=_RSA_JOSE,
        xml=_RSA_XML,
        takes=_strong_rsa,
        key_words="RSA",
        new_keys=_RSA_KEYS,
        certificate_digest=hashes.SHA256,
        jose_digest=_RSA_DIGEST,
    ),
    Algorithm(
        name=RSA_PSS,
        http=_pss(hashes.SHA512()),
        jose=_RSA_JOSE,
        xml=_RSA_XML,
        takes=_strong_rsa,
        key_words="RSA",
        new_keys=_RSA_KEYS,
        certificate_digest=hashes.SHA256,
        jose_digest=_RSA_DIGEST,
    ),
)

ALGORITHMS: Final[Mapping[str, Algorithm]] = {each.name: each for each in _DECLARED}
JOSE_NAMES: Final = tuple(dict.fromkeys(each.jose[0] for each in _DECLARED))
XML_METHODS: Final = tuple(dict.fromkeys(each.xml[0] for each in _DECLARED if each.xml is not None))
OFFICER_KEYS: Final = ", ".join(each.key_words for each in _DECLARED if each.approves)


def natural_algorithm(public: object) -> Algorithm:
    """The default algorithm of a key. KEY_UNACCEPTABLE for keys that are not accepted."""
    algorithm = next((each for each in _DECLARED if each.takes(public)), None)
    if algorithm is not None:
        return algorithm
    if isinstance(public, ec.EllipticCurvePublicKey):
        raise KEY_UNACCEPTABLE(rule=f"EC {public.curve.name}")
    if isinstance(public, rsa.RSAPublicKey):
        raise KEY_UNACCEPTABLE(rule=f"RSA {public.key_size} < {MIN_RSA_BITS}")
    raise KEY_UNACCEPTABLE(rule=type(public).__name__)


def algorithm_for(public: object, name: str | None) -> Algorithm:
    """The algorithm of this name, or the key's default. KEY_UNACCEPTABLE where it does not accept the key."""
    natural = natural_algorithm(public)
    if name is None:
        return natural
    chosen = ALGORITHMS.get(name)
    if chosen is None or not chosen.takes(public):
        raise KEY_UNACCEPTABLE(rule=f"{name} ≠ {natural.name}")
    return chosen


def is_public(key: object) -> TypeGuard[PublicKey]:
    return isinstance(key, PublicKey)


def is_private(key: object) -> TypeGuard[PrivateKey]:
    return isinstance(key, PrivateKey)


def new_private(kind: KeyType = "P-256") -> PrivateKey:
    """A new private key of that kind."""
    return next(each.new_keys[kind] for each in _DECLARED if kind in each.new_keys)()


def certificate_digest(private: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The digest of X.509 structures signed by this key; None where the algorithm includes it."""
    digest = natural_algorithm(private.public_key()).certificate_digest
    return digest() if digest is not None else None
