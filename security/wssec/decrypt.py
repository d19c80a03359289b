"""Decrypts the Body of an envelope in the profile of `docs/wire.md`.

Standards: XML Encryption 1.1, WSS SOAP Message Security 1.1 §9.
One `xenc:EncryptedKey` in the Security header, one `xenc:EncryptedData` as the only content of the Body, `rsa-oaep`
with SHA-256 throughout, `aes256-gcm`. Elements are found by position, and lengths are checked before a private key is
used. The result is the signed envelope: the hardened parser reads it, and `security.wssec.verify` verifies it, so that
encryption alone never gives trust.
Invariant: every fault of a ciphertext or wrapped key gives the same `body.decryption` by the same steps: a random key
replaces a wrong one. Distinct errors concern only clear text, or text authenticated by the content key's author.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from contracts.base.errors import Theirs
from contracts.base.randomness import random_bytes
from contracts.wire.soap import VERSIONS, Version, parse_envelope
from security.encryption_keys import DecryptKey
from security.errors import BODY_DECRYPTION, BODY_ENCRYPTION_PROFILE, SIGNATURE_MISSING, SIGNATURE_SEVERAL
from security.wssec.encrypt import IV_BYTES, KEY_BYTES, OAEP
from security.wssec.names import (
    AES256_GCM,
    BASE64_BINARY,
    CONTENT,
    DIGEST_SHA256,
    DS,
    MGF1_SHA256,
    RSA_OAEP,
    SUBJECT_KEY_ID,
    THUMBPRINT_SHA1,
    WSSE,
    XENC,
    XENC11,
    short,
)
from security.wssec.signed_info import Element, base64_of, children_of, text_of

TAG_BYTES: Final = 16
CIPHER_VALUE: Final = "xenc:EncryptedData//xenc:CipherValue"
_SECURITY, _STR = f"{{{WSSE}}}Security", f"{{{WSSE}}}SecurityTokenReference"
_REFERENCE, _KEY_IDENTIFIER = f"{{{WSSE}}}Reference", f"{{{WSSE}}}KeyIdentifier"
_KEY, _DATA, _METHOD = f"{{{XENC}}}EncryptedKey", f"{{{XENC}}}EncryptedData", f"{{{XENC}}}EncryptionMethod"
_CIPHER, _VALUE = f"{{{XENC}}}CipherData", f"{{{XENC}}}CipherValue"
_LIST, _DATA_REFERENCE = f"{{{XENC}}}ReferenceList", f"{{{XENC}}}DataReference"
_KEY_INFO, _DIGEST, _MGF = f"{{{DS}}}KeyInfo", f"{{{DS}}}DigestMethod", f"{{{XENC11}}}MGF"
_X509_DATA, _ISSUER_SERIAL, _SERIAL = (
    f"{{{DS}}}{name}" for name in ("X509Data", "X509IssuerSerial", "X509SerialNumber")
)
_OAEP_STEPS: Final = {_DIGEST: DIGEST_SHA256, _MGF: MGF1_SHA256}
# EncryptedKey, its EncryptionMethod, CipherData, CipherValue, ReferenceList, DataReference; EncryptedData, and three of
# these again.
_ALL: Final = 10
_COUNT: Final = etree.XPath("count(//x:*)", namespaces={"x": XENC})
_MARK: Final = "decrypted"  # the processing instruction that marks the place of the content; no document has others
_MARKED: Final = etree.tostring(etree.ProcessingInstruction(_MARK))


class Opened(NamedTuple):
    """The envelope as it was signed: its bytes, which are evidence, and its root."""

    raw: bytes
    root: Element


class BodyKeys:
    """The private keys for bodies, by the names that a sender may use. This profile has no EC keys."""

    def __init__(self, keys: Sequence[DecryptKey]) -> None:
        self._named: Final[dict[tuple[str, bytes | int], rsa.RSAPrivateKey]] = {}
        for key in keys:
            if not isinstance(key.private, rsa.RSAPrivateKey):
                continue
            certificate = x509.load_der_x509_certificate(key.certificate_der)
            self._named[THUMBPRINT_SHA1, hashlib.sha1(key.certificate_der, usedforsecurity=False).digest()] = (
                key.private
            )
            # Serial numbers of our own few certificates: with 160 random bits, the issuer's name is not needed.
            self._named[_SERIAL, certificate.serial_number] = key.private
            try:
                key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
            except x509.ExtensionNotFound:
                continue
            self._named[SUBJECT_KEY_ID, key_id] = key.private

    def find(self, kind: str, name: bytes | int) -> rsa.RSAPrivateKey:
        key = self._named.get((kind, name))
        if key is None:
            raise BODY_DECRYPTION()  # the same as for a wrong key: the sender must use the right certificate
        return key


def is_encrypted(root: Element) -> bool:
    """Whether the Body of a well-formed envelope contains encrypted data."""
    return len(root) > 0 and any(child.tag == _DATA for child in root[-1])


def decrypt_envelope(root: Element, keys: BodyKeys) -> Opened:
    """The envelope with its Body decrypted. `root` comes from the hardened parser and is consumed."""
    hidden = take_apart(root, keys)
    sealed = base64_of(hidden.value, CIPHER_VALUE, malformed)
    content = _unseal(hidden.content_key(len(sealed)), sealed)
    before, after = hidden.around()
    raw = b"".join((before, content, after))
    return Opened(raw, parse_opened(raw, hidden.version))


def parse_opened(raw: bytes, version: Version) -> Element:
    """The root of an envelope whose content was put back.

    The content was inserted into the text, not the tree: so the parser applies all its rules, in the namespaces of the
    place. A content that closes the Body early must open another, and the shape check rejects that.
    """
    opened = parse_envelope(raw, version)
    if _COUNT(opened):
        raise malformed("soap:Body", "xenc:EncryptedData × 1")
    return opened


class Hidden(NamedTuple):
    """An encrypted envelope in its parts, of the form that the profile says. `value` is the content's CipherValue."""

    version: Version
    root: Element
    security: Element
    wrapped: Element
    data: Element
    private: rsa.RSAPrivateKey
    wrapped_key: bytes
    value: Element

    def content_key(self, size: int) -> bytes:
        """The key of a sealed content of so many bytes; a random one in place of a wrong one."""
        if len(self.wrapped_key) != self.private.key_size // 8:
            raise malformed("xenc:EncryptedKey//xenc:CipherValue", f"{self.private.key_size // 8} bytes")
        if size < IV_BYTES + TAG_BYTES:
            raise malformed(CIPHER_VALUE, f">= {IV_BYTES + TAG_BYTES} bytes")
        return _unwrap(self.private, self.wrapped_key)

    def around(self) -> tuple[bytes, bytes]:
        """The envelope as it was signed, before and behind its content. The tree is consumed."""
        self.security.remove(self.wrapped)
        mark = etree.ProcessingInstruction(_MARK)
        mark.tail = self.data.tail
        self.root[-1].replace(self.data, mark)
        before, _, after = etree.tostring(self.root).partition(_MARKED)
        return before, after


def take_apart(root: Element, keys: BodyKeys) -> Hidden:
    version, security, body = _places(root)
    data = _one_in_body(body)
    wrapped = _one_key(security)
    if cast("float", _COUNT(root)) != _ALL:
        raise malformed("soap:Envelope", "xenc:EncryptedKey × 1, xenc:EncryptedData × 1")
    private, wrapped_key = _read_key(wrapped, data, keys)
    return Hidden(version, root, security, wrapped, data, private, wrapped_key, _read_data(data, wrapped))


def malformed(where: str, rule: str) -> Theirs:
    return BODY_ENCRYPTION_PROFILE(where=where, rule=rule)


def _places(root: Element) -> tuple[Version, Element, Element]:
    version = VERSIONS.get(str(root.tag))
    top = children_of(root)
    if version is None or [part.tag for part in top] != [version.header, version.body]:
        raise SIGNATURE_MISSING(where="soap:Header")
    blocks = [each for each in children_of(top[0]) if each.tag == _SECURITY]
    if not blocks:
        raise SIGNATURE_MISSING(where="soap:Header/wsse:Security")
    if len(blocks) > 1:
        raise SIGNATURE_SEVERAL(found=len(blocks), where="wsse:Security")
    return version, blocks[0], top[1]


def _one_in_body(body: Element) -> Element:
    inside = children_of(body)
    if [each.tag for each in inside] != [_DATA] or (body.text or "").strip() or (inside[0].tail or "").strip():
        raise malformed("soap:Body", "xenc:EncryptedData × 1")
    return inside[0]


def _one_key(security: Element) -> Element:
    keys = [each for each in children_of(security) if each.tag == _KEY]
    if len(keys) != 1:
        raise malformed("wsse:Security", "xenc:EncryptedKey × 1")
    return keys[0]


def _parts(element: Element, *tags: str) -> list[Element]:
    """The children of an element, which must be exactly these."""
    children = children_of(element)
    if [each.tag for each in children] != list(tags):
        raise malformed(short(str(element.tag)), ", ".join(short(tag) for tag in tags))
    return children


def _algorithm(method: Element, where: str, expected: str) -> None:
    if method.get("Algorithm") != expected:
        raise malformed(where, f"{(method.get('Algorithm') or '—')[:120]} ≠ {expected}")


def _read_key(wrapped: Element, data: Element, keys: BodyKeys) -> tuple[rsa.RSAPrivateKey, bytes]:
    method, key_info, cipher, listed = _parts(wrapped, _METHOD, _KEY_INFO, _CIPHER, _LIST)
    _algorithm(method, "xenc:EncryptedKey/xenc:EncryptionMethod", RSA_OAEP)
    steps = children_of(method)
    if {each.tag for each in steps} != set(_OAEP_STEPS) or len(steps) != len(_OAEP_STEPS):
        raise malformed("xenc:EncryptedKey/xenc:EncryptionMethod", "ds:DigestMethod, xenc11:MGF")
    for each in steps:
        _algorithm(each, f"xenc:EncryptedKey//{short(str(each.tag))}", _OAEP_STEPS[str(each.tag)])
    ident = data.get("Id")
    if not ident or _parts(listed, _DATA_REFERENCE)[0].get("URI") != f"#{ident}":
        raise malformed("xenc:DataReference", "→ soap:Body/xenc:EncryptedData")
    value = _parts(cipher, _VALUE)[0]
    return _receiver(key_info, keys), base64_of(value, "xenc:EncryptedKey//xenc:CipherValue", malformed)


def _receiver(key_info: Element, keys: BodyKeys) -> rsa.RSAPrivateKey:
    """The receiver's key: by thumbprint, subject key identifier, or issuer and serial number."""
    where = "xenc:EncryptedKey/ds:KeyInfo"
    inside = children_of(_parts(key_info, _STR)[0])
    if len(inside) == 1 and inside[0].tag == _KEY_IDENTIFIER:
        kind = inside[0].get("ValueType", "")
        if kind in (THUMBPRINT_SHA1, SUBJECT_KEY_ID) and inside[0].get("EncodingType", BASE64_BINARY) == BASE64_BINARY:
            return keys.find(kind, base64_of(inside[0], where, malformed))
    if len(inside) == 1 and inside[0].tag == _X509_DATA:
        serial = children_of(_parts(inside[0], _ISSUER_SERIAL)[0])
        if len(serial) == 2 and serial[1].tag == _SERIAL:
            text = text_of(serial[1], where, malformed)
            if text.isascii() and text.isdigit() and len(text) <= 60:
                return keys.find(_SERIAL, int(text))
    raise malformed(where, "wsse:KeyIdentifier …#ThumbprintSHA1 | …#X509SubjectKeyIdentifier, ds:X509IssuerSerial")


def _read_data(data: Element, wrapped: Element) -> Element:
    method, *named, cipher = _parts(data, _METHOD, *([_KEY_INFO] if data.find(_KEY_INFO) is not None else []), _CIPHER)
    if data.get("Type") != CONTENT:
        raise malformed("xenc:EncryptedData", f'Type="{CONTENT}"')
    _algorithm(method, "xenc:EncryptedData/xenc:EncryptionMethod", AES256_GCM)
    if len(method):
        raise malformed("xenc:EncryptedData/xenc:EncryptionMethod", AES256_GCM)
    for each in named:
        reference = _parts(_parts(each, _STR)[0], _REFERENCE)[0]
        if not wrapped.get("Id") or reference.get("URI") != f"#{wrapped.get('Id')}":
            raise malformed("xenc:EncryptedData/ds:KeyInfo", "→ wsse:Security/xenc:EncryptedKey")
    return _parts(cipher, _VALUE)[0]


def _unwrap(private: rsa.RSAPrivateKey, wrapped: bytes) -> bytes:
    """The content key; a random one in place of a wrong one, so that all faults look the same."""
    spare = random_bytes(KEY_BYTES)
    try:
        key = private.decrypt(wrapped, OAEP)
    except ValueError:
        return spare
    return key if len(key) == KEY_BYTES else spare


def _unseal(key: bytes, sealed: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:IV_BYTES], sealed[IV_BYTES:], None)
    except InvalidTag:
        raise BODY_DECRYPTION() from None
