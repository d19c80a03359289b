"""Encrypts the Body of a signed envelope in the profile of `docs/wire.md`.

Standards: XML Encryption 1.1, WSS SOAP Message Security 1.1 §9.
Sign, then encrypt: a fresh AES-256-GCM key encrypts the Body's content. The receiver's RSA key encrypts that key (OAEP
with SHA-256 and MGF1-SHA-256); its certificate is named by thumbprint. Only envelopes made by `security.wssec.sign`
are encrypted.
Invariant: decryption returns exactly the signed content; a content key is used once.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.base.randomness import random_bytes
from contracts.wire.layers import Marks
from contracts.wire.soap import V11, Version
from security.encryption_keys import EncryptKey
from security.errors import KEY_UNACCEPTABLE
from security.wssec.names import (
    AES256_GCM,
    BASE64_BINARY,
    CONTENT,
    DIGEST_SHA256,
    DS,
    ENCRYPTED_KEY,
    MGF1_SHA256,
    RSA_OAEP,
    THUMBPRINT_SHA1,
    WSSE,
    WSSE11,
    XENC,
    XENC11,
)
from security.wssec.sign import BODY_CLOSE, SECURITY_OPEN, frame

KEY_BYTES: Final = 32
IV_BYTES: Final = 12
_WHITE: Final = str.maketrans("01", " \t")
OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

_KEY_CLOSE: Final = (
    b"</xenc:CipherValue></xenc:CipherData><xenc:ReferenceList>"
    b'<xenc:DataReference URI="#encrypted-body"></xenc:DataReference></xenc:ReferenceList></xenc:EncryptedKey>'
)
_DATA_OPEN: Final = (
    f'<xenc:EncryptedData xmlns:xenc="{XENC}" Id="encrypted-body" Type="{CONTENT}">'
    f'<xenc:EncryptionMethod Algorithm="{AES256_GCM}"></xenc:EncryptionMethod>'
    f'<ds:KeyInfo xmlns:ds="{DS}"><wsse:SecurityTokenReference xmlns:wsse="{WSSE}" '
    f'xmlns:wsse11="{WSSE11}" wsse11:TokenType="{ENCRYPTED_KEY}">'
    '<wsse:Reference URI="#content-key" '
    f'ValueType="{ENCRYPTED_KEY}"></wsse:Reference></wsse:SecurityTokenReference></ds:KeyInfo>'
    "<xenc:CipherData><xenc:CipherValue>"
).encode()
_DATA_CLOSE: Final = b"</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"


@lru_cache(maxsize=4096)
def _key_open(certificate_der: bytes) -> bytes:
    """The part of EncryptedKey that is equal in all messages to one receiver."""
    name = base64.b64encode(hashlib.sha1(certificate_der, usedforsecurity=False).digest()).decode("ascii")
    return (
        f'<xenc:EncryptedKey xmlns:xenc="{XENC}" Id="content-key"><xenc:EncryptionMethod Algorithm="{RSA_OAEP}">'
        f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{DIGEST_SHA256}"></ds:DigestMethod>'
        f'<xenc11:MGF xmlns:xenc11="{XENC11}" Algorithm="{MGF1_SHA256}"></xenc11:MGF></xenc:EncryptionMethod>'
        f'<ds:KeyInfo xmlns:ds="{DS}"><wsse:SecurityTokenReference>'
        f'<wsse:KeyIdentifier EncodingType="{BASE64_BINARY}" ValueType="{THUMBPRINT_SHA1}">{name}</wsse:KeyIdentifier>'
        "</wsse:SecurityTokenReference></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>"
    ).encode()


def blinded(content: bytes) -> bytes:
    """Content to sign before encryption, prefixed with 128 random bits as spaces and tabs.

    The Body's digest is readable in the References; without the prefix a short content could be guessed.
    """
    bits = f"{int.from_bytes(random_bytes(16)):0128b}"
    return bits.translate(_WHITE).encode("ascii") + content


def encrypt_envelope(signed: bytes, key: EncryptKey, version: Version = V11, marks: Marks | None = None) -> bytes:
    """The envelope with its Body's content encrypted for `key`; `signed` comes from `sign_envelope`.

    `marks`: of the spool for which the Body has stand-ins. The content is then encrypted when the spool writes it.
    """
    if not isinstance(key.public, rsa.RSAPublicKey):
        raise KEY_UNACCEPTABLE(rule="XML Encryption: RSA")
    security = signed.index(SECURITY_OPEN) + len(SECURITY_OPEN)
    opened = frame(version)[1]
    body = signed.index(opened, security) + len(opened)
    end = signed.rindex(BODY_CLOSE)
    content_key, iv = AESGCM.generate_key(KEY_BYTES * 8), random_bytes(IV_BYTES)
    content = signed[body:end]
    if marks is not None:
        value = marks.for_xml(content, content_key, iv)
    else:
        value = base64.b64encode(iv + AESGCM(content_key).encrypt(iv, content, None))
    parts = (
        signed[:security],
        _key_open(key.certificate_der),
        base64.b64encode(key.public.encrypt(content_key, OAEP)),
        _KEY_CLOSE,
        signed[security:body],
        _DATA_OPEN,
        value,
        _DATA_CLOSE,
        signed[end:],
    )
    return b"".join(parts)
