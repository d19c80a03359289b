"""Time-stamps of an outside authority (RFC 3161, RFC 5816): makes requests, reads answers if they are proved.

A strict profile. Invariants: an accepted answer
- matches the request (digest, nonce);
- is signed (RFC 5652, SHA-256 or better) by a certificate that the signed attributes name;
- has a signer whose only use is time-stamping, and whose path to a given anchor was valid at the stamped time.
Anything else is `Unstamped`. The caller checks whether the time is plausible.
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
    "1.2.840.113549.1.1.1": None,  # rsaEncryption: the signer's digest
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
    """An answer without a valid stamp; the text says why."""


class Stamp(NamedTuple):
    """A proved stamp: time, signer, serial number, policy."""

    time: float
    signer: x509.Certificate
    serial: int
    policy: str

    @property
    def authority(self) -> str:
        return self.signer.subject.rfc4514_string()


class _Info(NamedTuple):
    """The parts of TSTInfo that are used."""

    digest: bytes
    time: float
    nonce: int | None
    serial: int
    policy: str


def question(digest: bytes, nonce: int) -> bytes:
    """TimeStampReq for a SHA-256 digest, with a nonce; it requests the authority's certificate."""
    if len(digest) != hashlib.sha256().digest_size or nonce <= 0:
        raise ValueError("a digest of SHA-256 and a positive nonce are stamped")
    imprint = der.element(der.SEQUENCE, _ALGORITHM, der.element(der.OCTETS, digest))
    return der.element(der.SEQUENCE, der.number(1), imprint, der.number(nonce), b"\x01\x01\xff")


def nonce_of(request: bytes) -> int:
    """The nonce of our request."""
    try:
        parts = list(der.each(der.only(request, der.SEQUENCE)))
        return der.integer(parts[2].of(der.INTEGER))
    except (BadDer, IndexError) as error:
        raise Unstamped(f"not a question: {error}") from None


def read(answer: bytes, digest: bytes, anchors: Sequence[x509.Certificate], *, nonce: int | None) -> Stamp:
    """The stamp over `digest`. `Unstamped` if it is not proved.

    `nonce` is the request's, or None if unknown. `anchors` may include intermediate issuers.
    """
    if len(answer) > ANSWER_LIMIT:
        raise Unstamped(f"an answer of more than {ANSWER_LIMIT} bytes")
    try:
        return _read(answer, digest, anchors, nonce)
    except BadDer as error:
        raise Unstamped(f"not an answer of RFC 3161: {error}") from None


def claimed(answer: bytes, digest: bytes, *, nonce: int | None) -> Stamp:
    """The unproved claim of an answer over `digest` by its own certificate, for comparison with records only."""
    try:
        info, signer, _certificates = _opened(answer, digest, nonce)
    except BadDer as error:
        raise Unstamped(f"not an answer of RFC 3161: {error}") from None
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
    except ValueError as error:
        raise Unstamped(f"its certificate does not lead to a trusted anchor: {str(error)[:200]}") from None
    return Stamp(info.time, signer, info.serial, info.policy)


def _opened(answer: bytes, digest: bytes, nonce: int | None) -> tuple[_Info, x509.Certificate, list[x509.Certificate]]:
    """The signed content, its signer, and the certificates in the token."""
    data, certificates, signer_info = _token(answer)
    info = _info(data)
    if info.digest != digest:
        raise Unstamped("it stamps another digest")
    if nonce is not None and info.nonce != nonce:
        raise Unstamped("it answers another question (nonce)")
    return info, _signed(data, certificates, signer_info), certificates


# --- the answer's parts -----------------------------------------------------------------------------------------------


def _token(answer: bytes) -> tuple[bytes, list[x509.Certificate], list[Element]]:
    """TimeStampResp: the signed TSTInfo, the certificates in the token, and the only SignerInfo."""
    status, *token = list(der.each(der.only(answer, der.SEQUENCE)))
    status_parts = list(der.each(status.of(der.SEQUENCE)))
    code = der.integer(status_parts[0].of(der.INTEGER)) if status_parts else -1
    if code not in (0, 1):
        raise Unstamped(f"the authority refused: {_STATUS.get(code, code)}")
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


# --- the signature (RFC 5652 §5.4, RFC 5816) --------------------------------------------------------------------------


def _signed(data: bytes, certificates: Sequence[x509.Certificate], info: Sequence[Element]) -> x509.Certificate:
    """The signer of `data`. `Unstamped` if there is none."""
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
    """The only value of each attribute, by name."""
    by_name: dict[str, bytes] = {}
    for attribute in der.each(content):
        kind, values = _two(attribute.of(der.SEQUENCE))
        name = der.oid(kind.of(der.OID))
        elements = list(der.each(values.of(der.SET)))
        if name in by_name or len(elements) != 1:
            raise BadDer("an attribute that stands twice, or has not one value")
        by_name[name] = elements[0].raw
    return by_name


def _named(values: dict[str, bytes], certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """The certificate that the signed attributes name by digest (ESSCertID, ESSCertIDv2): the signer's is first."""
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
    """RFC 3161 §2.3: its only use is time-stamping, and that extension is critical."""
    try:
        uses = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, *UNREADABLE):
        raise Unstamped("its certificate does not say that it is for time-stamping") from None
    if not uses.critical or list(uses.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise Unstamped("its certificate is not for time-stamping alone")


# --- small parts ------------------------------------------------------------------------------------------------------


def _two(content: bytes) -> tuple[Element, Element]:
    elements = list(der.each(content))
    if len(elements) != 2:
        raise BadDer(f"a pair has two elements; there are {len(elements)}")
    return elements[0], elements[1]


def _algorithm(element_: Element) -> str:
    parts = list(der.each(element_.of(der.SEQUENCE)))
    if not parts:
        raise BadDer("an algorithm without a name")
    return der.oid(parts[0].of(der.OID))


def _certificate(raw: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(raw)
        _ = certificate.issuer, certificate.subject  # parsed lazily by the library, used below
    except UNREADABLE as error:
        raise BadDer(f"a certificate that cannot be read ({type(error).__name__})") from None
    return certificate
