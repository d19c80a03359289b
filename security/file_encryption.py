"""Encrypts files for one receiver in records, in bounded memory: a signed and encrypted key, then RFC 8188.

    <JWS in JWE> LF <file in the content coding aes128gcm>

    JWS in JWE    as of any encrypted body (`security.jose`); `cty` is `KEY_TYPE`; the payload is JSON:
                  {"key": base64url of 16 random bytes, "size": bytes of the file, "mediaType": of the file}
    aes128gcm     RFC 8188 §2: salt (16), record size 65,536 (4), length of the key id 0 (1), records of AES-128-GCM.
                  `key` is the input keying material. It is new for each file and each answer.

A record's nonce is its number, and its last octet before padding says whether it is the last.
Invariant: a file that was cut, extended, reordered or changed does not open as a whole: `end` fails, or `feed` before.
  What `feed` returned before that came from the signer, in order from the beginning.
"""

from __future__ import annotations

import contextlib
import hmac
import json
from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.base.errors import Theirs
from contracts.base.randomness import random_bytes
from contracts.wire.jsontext import read_json
from security import jose, jws
from security.encryption_keys import EncryptKey
from security.errors import BODY_DECRYPTION, BODY_ENCRYPTION_PROFILE
from security.keys import SigningKey
from security.seal import expand

MEDIA_TYPE: Final = "application/vnd.lgsp.encrypted-file"
KEY_TYPE: Final = "application/vnd.lgsp.file-key+json"  # `cty`: no other signed text has it
RECORD: Final = 65_536  # bytes of a record with its tag
MAX_HEAD: Final = 8192  # bytes of JWS in JWE
MAX_MEDIA: Final = 302  # characters
MAX_SIZE: Final = 1 << 50  # bytes of a file; AES-GCM and the numbers of records have room for it
_KEY: Final = 16
_KEY_TEXT: Final = 22  # its base64url
_SALT: Final = 16
_TAG: Final = 16
_CONTENT: Final = RECORD - _TAG - 1  # bytes of the file in a whole record
_HEAD: Final = _SALT + 5  # of the content coding
_FIXED: Final = RECORD.to_bytes(4, "big") + b"\0"
_MORE, _LAST = b"\x01", b"\x02"


class FileKey(NamedTuple):
    """What the signed head of an encrypted file says. `size`: bytes of the file, 1 or more."""

    key: bytes
    size: int
    media_type: str

    def sealed(self, signer: SigningKey, receiver: EncryptKey) -> bytes:
        """The head, for this receiver."""
        told = {"key": jws.encoded(self.key).decode("ascii"), "size": self.size, "mediaType": self.media_type}
        return jose.seal(json.dumps(told).encode(), KEY_TYPE, signer, receiver)[0]


def new_key(size: int, media_type: str) -> FileKey:
    return FileKey(random_bytes(_KEY), size, media_type)


def file_key(opened: jose.Opened) -> FileKey:
    """The key in an opened head. The caller checks whose key signed it."""
    value = read_json(opened.payload) if opened.media_type == KEY_TYPE else None
    if not isinstance(value, dict) or value.keys() != {"key", "size", "mediaType"}:
        raise _wrong("JWS", f"cty: {KEY_TYPE}; key, size, mediaType")
    key, size, media_type = value["key"], value["size"], value["mediaType"]
    raw = b""
    if isinstance(key, str) and len(key) == _KEY_TEXT and key.isascii():
        with contextlib.suppress(ValueError):
            raw = jws.decoded(key.encode("ascii"))
    if len(raw) != _KEY or jws.encoded(raw).decode("ascii") != key:  # one text only
        raise _wrong("JWS", f"key: base64url, {_KEY}")
    if type(size) is not int or not 0 < size <= MAX_SIZE:
        raise _wrong("JWS", f"size: 1 … {MAX_SIZE}")
    if not isinstance(media_type, str) or not 0 < len(media_type) <= MAX_MEDIA:
        raise _wrong("JWS", f"mediaType: 1 … {MAX_MEDIA}")
    return FileKey(raw, size, media_type)


class FileSealer:
    """Encrypts one file. `head` is its sealed key. A new one with the same values writes the same bytes again.

    Only one content may ever leave under a key and salt.
    """

    def __init__(self, head: bytes, key: FileKey, salt: bytes | None = None) -> None:
        salt = random_bytes(_SALT) if salt is None else salt
        self._records: Final = _Records(key.key, salt)
        self._begin = head + b"\n" + salt + _FIXED
        self._size: Final = key.size
        self._came = 0
        self._left = bytearray()
        self.total: Final = len(self._begin) + key.size + (_TAG + 1) * -(-key.size // _CONTENT)  # bytes

    def add(self, data: bytes) -> bytes:
        """The bytes that may leave after this part of the file. ValueError if the file is longer than it was."""
        self._came += len(data)
        if self._came > self._size:
            raise ValueError("the file has more bytes than its key says")
        self._left += data
        parts, at = [self._begin], 0
        self._begin = b""
        with memoryview(self._left) as view:
            while len(view) - at > _CONTENT:
                parts.append(self._records.seal(bytes(view[at : at + _CONTENT]) + _MORE))
                at += _CONTENT
            if self._came == self._size and len(view) > at:
                parts.append(self._records.seal(bytes(view[at:]) + _LAST))
                at = len(view)
        del self._left[:at]
        return b"".join(parts)


class FileOpener:
    """Decrypts one file. `open_head` opens a head (`file_key`), or raises; it is called once, before any record."""

    def __init__(self, open_head: Callable[[bytes], FileKey]) -> None:
        self._open_head: Final = open_head
        self.key: FileKey | None = None
        self._records: _Records | None = None
        self._left = bytearray()
        self._size = 0
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        """The part of the file that this completes. `body.decryption`, `body.encryption-profile`."""
        self._left += data
        records = self._records or self._begin()
        if records is None:
            return b""
        parts, at = list[bytes](), 0
        with memoryview(self._left) as view:
            while len(view) - at >= RECORD:
                parts.append(self._opened(records, bytes(view[at : at + RECORD])))
                at += RECORD
        del self._left[:at]
        return b"".join(parts)

    def end(self) -> bytes:
        """The rest of the file, which has come as a whole."""
        if self._records is None:
            raise _wrong("JWE", f"<= {MAX_HEAD}, LF, aes128gcm")
        rest = self._opened(self._records, bytes(self._left)) if self._left else b""
        if not self._ended or self.key is None or self._size != self.key.size:
            raise BODY_DECRYPTION()
        return rest

    def _begin(self) -> _Records | None:
        if self.key is None:
            end = self._left.find(b"\n", 0, MAX_HEAD + 1)
            if end < 0 and len(self._left) <= MAX_HEAD:
                return None
            if end <= 0:
                raise _wrong("JWE", f"<= {MAX_HEAD}, LF")
            self.key = self._open_head(bytes(self._left[:end]))
            del self._left[: end + 1]
        if len(self._left) < _HEAD:
            return None
        salt, fixed = bytes(self._left[:_SALT]), bytes(self._left[_SALT:_HEAD])
        if fixed != _FIXED:
            raise _wrong("aes128gcm", f"rs {RECORD}, idlen 0")
        del self._left[:_HEAD]
        self._records = _Records(self.key.key, salt)
        return self._records

    def _opened(self, records: _Records, sealed: bytes) -> bytes:
        if self._ended:
            raise BODY_DECRYPTION()
        plain = records.open(sealed).rstrip(b"\0")  # padding (RFC 8188 §2)
        mark = plain[-1:]
        self._ended = mark == _LAST
        self._size += len(plain) - 1
        assert self.key is not None
        if not (self._ended or mark == _MORE and len(sealed) == RECORD) or self._size > self.key.size:
            raise BODY_DECRYPTION()
        return plain[:-1]


class _Records:
    """The records of one file, in order (RFC 8188 §2.2, §2.3)."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        extracted = hmac.digest(salt, key, "sha256")
        self._cipher: Final = AESGCM(expand(extracted, b"Content-Encoding: aes128gcm\0")[:16])
        self._nonce: Final = int.from_bytes(expand(extracted, b"Content-Encoding: nonce\0")[:12], "big")
        self._number = 0

    def seal(self, plain: bytes) -> bytes:
        return self._cipher.encrypt(self._next(), plain, None)

    def open(self, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(self._next(), sealed, None)
        except (InvalidTag, ValueError):  # ValueError: shorter than a tag
            raise BODY_DECRYPTION() from None

    def _next(self) -> bytes:
        nonce = self._nonce ^ self._number
        self._number += 1
        return nonce.to_bytes(12, "big")


def _wrong(where: str, rule: str) -> Theirs:
    return BODY_ENCRYPTION_PROFILE(where=where, rule=rule)
