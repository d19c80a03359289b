"""Time-stamps of an outside authority (RFC 3161, RFC 5816): the question, and reading an answer only when it is proved.

A strict profile. Invariants: what is taken answers this very question (digest, nonce), was signed (RFC 5652, with SHA-256 or better) by a certificate which the
signed attributes name, whose only use is time-stamping, and which leads up to an anchor that was handed in and held at the time that is stamped.
Whatever else is `Unstamped`. No clock here: whether the time is plausible is asked by whoever has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from security.keys import UNREADABLE
from security.pki import chains, der
from security.pki.der import BadDer, Element

ANSWER_LIMIT: Final = 60_000
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_HASHES: Final[dict[str, tuple[str, hashes.HashAlgorithm]]] = {
    _SHA256: ("sha256", hashes.SHA256()),
    "2.16.840.1.101.3.4.2.2": ("sha384", hashes.SHA384()),
    "2.16.840.1.101.3.4.2.3": ("sha512", hashes.SHA512()),
}
_ALGORITHM: Final = bytes.fromhex("300d06096086480165030402010500")  # AlgorithmIdentifier of SHA-256, with NULL
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_PKCS1: Final = {
    "1.2.840.113549.1.1.1": None,  # rsaEncryption: the digest is that of the signer
    "1.2.840.113549.1.1.11": _SHA256,
    "1.2.840.113549.1.1.12": "2.16.840.1.101.3.4.2.2",
    "1.2.840.113549.1.1.13": "2.16.840.1.101.3.4.2.3",
}
_ECDSA: Final = {
    "1.2.840.10045.4.3.2": _SHA256,
    "1.2.840.10045.4.3.3": "2.16.840.1.101.3.4.2.2",
    "1.2.840.10045.4.3.4": "2.16.840.1.101.3.4.2.3",
}
_ED25519: Final = "1.3.101.112"
_SET_OF_ATTRIBUTES: Final = 0xA0
_STATUS: Final = {2: "rejected", 3: "waiting", 4: "a revocation is near", 5: "its key was revoked"}


class Unstamped(ValueError):
    """An answer that stamps nothing; the text says why."""


class Stamp(NamedTuple):
    """What was proved: when, by whom, under which serial number and policy."""

    time: float
    signer: x509.Certificate
    serial: int
    policy: str

    @property
    def authority(self) -> str:
        return self.signer.subject.rfc4514_string()


class _Info(NamedTuple):
    """TSTInfo, as far as it is believed."""

    digest: bytes
    time: float
    nonce: int | None
    serial: int
    policy: str


def question(digest: bytes, nonce: int) -> bytes:
    """TimeStampReq for a SHA-256 digest, with a nonce; the authority's certificate is asked for."""
    if len(digest) != hashlib.sha256().digest_size or nonce <= 0:
        raise ValueError("a digest of SHA-256 and a positive nonce are stamped")
    imprint = der.element(der.SEQUENCE, _ALGORITHM, der.element(der.OCTETS, digest))
    return der.element(der.SEQUENCE, der.number(1), imprint, der.number(nonce), b"\x01\x01\xff")


def nonce_of(asked: bytes) -> int:
    """The nonce of a question of ours."""
    try:
        parts = list(der.each(der.only(asked, der.SEQUENCE)))
        return der.integer(parts[2].of(der.INTEGER))
    except (BadDer, IndexError) as trouble:
        raise Unstamped(f"not a question: {trouble}") from None


def read(answer: bytes, digest: bytes, anchors: Sequence[x509.Certificate], *, nonce: int | None) -> Stamp:
    """The stamp over `digest`. `nonce` is that of the question; None where it is no longer known. The anchors may hold issuers between."""
    if len(answer) > ANSWER_LIMIT:
        raise Unstamped(f"an answer of more than {ANSWER_LIMIT} bytes")
    try:
        return _read(answer, digest, anchors, nonce)
    except BadDer as trouble:
        raise Unstamped(f"not an answer of RFC 3161: {trouble}") from None


def claimed(answer: bytes, digest: bytes, *, nonce: int | None) -> Stamp:
    """What an answer says over `digest` by the certificate that came with it, whoever issued that: for comparing what was noted beside it. It proves no time."""
    try:
        info, signer, _certificates = _opened(answer, digest, nonce)
    except BadDer as trouble:
        raise Unstamped(f"not an answer of RFC 3161: {trouble}") from None
    return Stamp(info.time, signer, info.serial, info.policy)


def _read(answer: bytes, digest: bytes, anchors: Sequence[x509.Certificate], nonce: int | None) -> Stamp:
    info, signer, certificates = _opened(answer, digest, nonce)
    _check_use(signer)
    try:
        chains.path(
            signer,
            [*anchors, *(each for each in certificates if each.issuer != each.subject and each != signer)],
            info.time,
        )
    except ValueError as trouble:
        raise Unstamped(f"its certificate does not lead to a trusted anchor: {str(trouble)[:200]}") from None
    return Stamp(info.time, signer, info.serial, info.policy)


def _opened(answer: bytes, digest: bytes, nonce: int | None) -> tuple[_Info, x509.Certificate, list[x509.Certificate]]:
    """What is signed, by whom, and the certificates that came with it."""
    data, certificates, signer_info = _token(answer)
    info = _info(data)
    if info.digest != digest:
        raise Unstamped("it stamps another digest")
    if nonce is not None and info.nonce != nonce:
        raise Unstamped("it answers another question (nonce)")
    return info, _signed(data, certificates, signer_info), certificates


# --- the answer's parts ---------------------------------------------------------------------------------------------------


def _token(answer: bytes) -> tuple[bytes, list[x509.Certificate], list[Element]]:
    """TimeStampResp: the signed TSTInfo, the certificates that came with it, and the one SignerInfo."""
    status, *token = list(der.each(der.only(answer, der.SEQUENCE)))
    said = list(der.each(status.of(der.SEQUENCE)))
    granted = der.integer(said[0].of(der.INTEGER)) if said else -1
    if granted not in (0, 1):
        raise Unstamped(f"the authority refused: {_STATUS.get(granted, granted)}")
    if len(token) != 1:
        raise BadDer("there is no token")
    kind, wrapped = _two(token[0].of(der.SEQUENCE))
    if der.oid(kind.of(der.OID)) != _SIGNED_DATA:
        raise BadDer("the token is no SignedData")
    parts = list(der.each(der.only(wrapped.of(0xA0), der.SEQUENCE)))
    if len(parts) < 4:
        raise BadDer("SignedData lacks a part")
    inner, octets = _two(parts[2].of(der.SEQUENCE))
    if der.oid(inner.of(der.OID)) != _TST_INFO:
        raise BadDer("what is signed is no TSTInfo")
    data = der.only(octets.of(0xA0), der.OCTETS)
    certificates: list[x509.Certificate] = []
    for part in parts[3:-1]:
        if part.tag == 0xA0:
            certificates += [_certificate(each.raw) for each in der.each(part.content) if each.tag == der.SEQUENCE]
    signers = list(der.each(parts[-1].of(der.SET)))
    if len(signers) != 1:
        raise Unstamped(f"{len(signers)} signers; there must be one")
    return data, certificates, list(der.each(signers[0].of(der.SEQUENCE)))


def _info(data: bytes) -> _Info:
    parts = list(der.each(der.only(data, der.SEQUENCE)))
    if len(parts) < 5 or der.integer(parts[0].of(der.INTEGER)) != 1:
        raise BadDer("TSTInfo is not of version 1")
    algorithm, hashed = _two(parts[2].of(der.SEQUENCE))
    if der.oid(next(iter(der.each(algorithm.of(der.SEQUENCE))), Element(0, b"", b"")).of(der.OID)) != _SHA256:
        raise Unstamped("it stamps a digest of another kind than SHA-256")
    nonce = next((der.integer(each.content) for each in parts[5:] if each.tag == der.INTEGER), None)
    return _Info(
        hashed.of(der.OCTETS),
        der.time(parts[4].of(der.TIME)),
        nonce,
        der.integer(parts[3].of(der.INTEGER)),
        der.oid(parts[1].of(der.OID)),
    )


# --- the signature (RFC 5652 §5.4, RFC 5816) -------------------------------------------------------------------------------


def _signed(data: bytes, certificates: Sequence[x509.Certificate], info: Sequence[Element]) -> x509.Certificate:
    """Who signed `data`; `Unstamped` where nobody did."""
    if len(info) < 6:
        raise BadDer("SignerInfo lacks a part")
    _version, _sid, digest_algorithm, attributes, algorithm, signature = info[:6]
    digest_oid = _algorithm(digest_algorithm)
    if digest_oid not in _HASHES:
        raise Unstamped("it is signed with a digest weaker than SHA-256, or an unknown one")
    values = _attributes(attributes.of(_SET_OF_ATTRIBUTES))
    if der.oid(der.only(values.get(_CONTENT_TYPE, b""), der.OID)) != _TST_INFO:
        raise Unstamped("the signed attributes speak of another content")
    if der.only(values.get(_MESSAGE_DIGEST, b""), der.OCTETS) != hashlib.new(_HASHES[digest_oid][0], data).digest():
        raise Unstamped("what is signed is not what came")
    signer = _named(values, certificates)
    covered = der.element(der.SET, attributes.content)
    _check_signature(signer, _algorithm(algorithm), digest_oid, signature.of(der.OCTETS), covered)
    return signer


def _attributes(content: bytes) -> dict[str, bytes]:
    """Each attribute's one value, by name."""
    found: dict[str, bytes] = {}
    for attribute in der.each(content):
        kind, values = _two(attribute.of(der.SEQUENCE))
        name = der.oid(kind.of(der.OID))
        every = list(der.each(values.of(der.SET)))
        if name in found or len(every) != 1:
            raise BadDer("an attribute that stands twice, or has not one value")
        found[name] = every[0].raw
    return found


def _named(values: dict[str, bytes], certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """The certificate that the signed attributes name by its digest (ESSCertID, ESSCertIDv2): the first of the list is the signer's."""
    new, old = values.get(_SIGNING_CERTIFICATE_V2), values.get(_SIGNING_CERTIFICATE)
    if new is None and old is None:
        raise Unstamped("the signed attributes name no certificate")
    names = next(iter(der.each(der.only(new or old or b"", der.SEQUENCE))), None)
    name = next(iter(der.each(names.of(der.SEQUENCE))), None) if names is not None else None
    parts = list(der.each(name.of(der.SEQUENCE))) if name is not None else []
    kind = "sha1" if new is None else "sha256"
    if new is not None and parts and parts[0].tag == der.SEQUENCE:
        oid = _algorithm(parts[0])
        if oid not in _HASHES:
            raise Unstamped("its certificate is named by an unknown digest")
        kind, parts = _HASHES[oid][0], parts[1:]
    if not parts:
        raise BadDer("the name of a certificate lacks its digest")
    hashed = parts[0].of(der.OCTETS)
    for each in certificates:
        if hashlib.new(kind, each.public_bytes(Encoding.DER), usedforsecurity=False).digest() == hashed:
            return each
    raise Unstamped("the certificate that signed did not come with it")


def _check_signature(
    signer: x509.Certificate, algorithm: str, digest_oid: str, signature: bytes, covered: bytes
) -> None:
    try:
        key = signer.public_key()
    except UNREADABLE:
        raise Unstamped("the key of its certificate is of an unknown kind") from None
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm in _PKCS1:
            if key.key_size < 2048:
                raise Unstamped("an RSA key of less than 2048 bits")
            key.verify(signature, covered, padding.PKCS1v15(), _HASHES[_PKCS1[algorithm] or digest_oid][1])
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _ECDSA:
            key.verify(signature, covered, ec.ECDSA(_HASHES[_ECDSA[algorithm]][1]))
        elif isinstance(key, ed25519.Ed25519PublicKey) and algorithm == _ED25519:
            key.verify(signature, covered)
        else:
            raise Unstamped(f"it is signed by an algorithm that is not known here ({algorithm})")
    except InvalidSignature:
        raise Unstamped("its signature is wrong") from None


def _check_use(signer: x509.Certificate) -> None:
    """RFC 3161 §2.3: its one use is time-stamping, and that extension is critical."""
    try:
        uses = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, *UNREADABLE):
        raise Unstamped("its certificate does not say that it is for time-stamping") from None
    if not uses.critical or list(uses.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise Unstamped("its certificate is not for time-stamping alone")


# --- small parts ----------------------------------------------------------------------------------------------------------


def _two(content: bytes) -> tuple[Element, Element]:
    found = list(der.each(content))
    if len(found) != 2:
        raise BadDer(f"a pair has two elements; there are {len(found)}")
    return found[0], found[1]


def _algorithm(found: Element) -> str:
    parts = list(der.each(found.of(der.SEQUENCE)))
    if not parts:
        raise BadDer("an algorithm without a name")
    return der.oid(parts[0].of(der.OID))


def _certificate(raw: bytes) -> x509.Certificate:
    try:
        found = x509.load_der_x509_certificate(raw)
        _ = found.issuer, found.subject  # read late by the library, and asked for below
    except UNREADABLE as trouble:
        raise BadDer(f"a certificate that cannot be read ({type(trouble).__name__})") from None
    return found
