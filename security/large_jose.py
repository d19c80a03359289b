"""Signed, then encrypted bodies that are too large to be held, in the profile of `security.jose`.

    file with the JWE -> decrypted, taken apart -> the payload, in pieces; header and signature of the JWS
    a text with stand-ins -> the same text with the layers of JWS and JWE around it (`contracts.wire.layers`)

Invariants
- The tag is checked over the whole before anything is judged: what is wrong inside is told only then.
- The pieces of a payload are void until `open_large` has returned: the tag and the signature were verified then.
- Each octet is decoded, decrypted and digested once; in memory is a piece of `CHUNK` characters.
- The signature is checked by the digest. EdDSA needs the whole text, so it is rejected here (`body.signed-whole`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from contracts.wire.attachments import CHUNK, File, Spool
from security import jws
from security.encryption_keys import EncryptKey
from security.errors import BODY_DECRYPTION, BODY_SIGNED_WHOLE
from security.jose import MAX_HEADER, FindKey, Opener, new_content_key, signer_of, wrong
from security.keys import SigningKey, VerifyKey

_MAX_KEY: Final = 1366  # characters of an encrypted key, and of a signature: RSA of 8192 bits
_MAX_BEGIN: Final = MAX_HEADER + _MAX_KEY + 20  # of header, encrypted key, IV and their dots
_IV_TEXT, _TAG_TEXT = 16, 22  # characters of 12 and 16 bytes in base64url
_MAX_END: Final = 64  # of a dot and a tag
_FORM: Final = "compact, 5 × base64url"


class Envelope(NamedTuple):
    """What is around the payload: header, encrypted key and IV of the JWE, header and signature of the JWS, all in
    base64url. `key` is the content key.
    """

    head: bytes
    wrapped: bytes
    iv: bytes
    key: bytes
    signed_head: bytes
    signature: bytes

    def signed(self, payload: bytes, spool: Spool) -> bytes:
        """The JWS, with the layer around a payload that has stand-ins of `spool`."""
        return b".".join((self.signed_head, spool.marks.in_base64url(payload), self.signature))

    def around(self, payload: bytes, spool: Spool) -> bytes:
        """The body, with the layers around such a payload."""
        text = spool.marks.for_jwe(self.signed(payload, spool), self.key, jws.decoded(self.iv), self.head)
        return b".".join((self.head, self.wrapped, self.iv, text))


class LargeOpened(NamedTuple):
    """As `jose.Opened`, of a payload that went elsewhere. `sha256` is the payload's."""

    envelope: Envelope
    media_type: str
    key: VerifyKey
    sha256: bytes


def seal_large(
    payload: bytes, media_type: str, signer: SigningKey, receiver: EncryptKey, spool: Spool
) -> tuple[bytes, bytes]:
    """As `jose.seal`, for a text with stand-ins of `spool`: both results are to be written by it.

    The key is P-256 or RSA, as all keys of the gateway are. One pass over the contents.
    """
    head = jws.header(signer, cty=media_type)
    digest = hashlib.sha256()
    for piece in spool.restore(head + b"." + spool.marks.in_base64url(payload)):
        digest.update(piece)
    (outer, wrapped, iv), key = new_content_key(receiver)
    signature = jws.encoded(signer.sign_jose_digest(digest.digest()))
    made = Envelope(outer, wrapped, iv, key, head, signature)
    return made.around(payload, spool), made.signed(payload, spool)


def open_large(
    source: File, opener: Opener, write: Callable[[bytes], object], find_key: FindKey, now: float, *, limit: int
) -> LargeOpened:
    """Decrypts, then verifies. The pieces of the payload go to `write`: void unless this returns.

    `limit`: bytes of a body that may be signed by EdDSA, for the message. Errors as `jose.Opener.open`.
    """
    size = source.seek(0, 2)
    source.seek(0)
    begin = source.read(_MAX_BEGIN).split(b".", 3)
    at = sum(len(part) + 1 for part in begin[:3])
    source.seek(max(size - _MAX_END, at))
    *before, tag = source.read().split(b".")
    stop = size - len(tag) - 1
    if len(begin) != 4 or stop <= at or len(before) != 1 or not all((*begin[:3], tag)):
        raise wrong("JWE", _FORM)
    if b"." in begin[3][: stop - at]:  # a sixth part: the third is no iv then
        raise wrong("JWE", _FORM)
    head, wrapped, iv = begin[:3]
    try:
        jws.split(b".".join((head, wrapped, iv, tag)), 4)
    except ValueError:
        raise wrong("JWE", _FORM) from None
    key = opener.content_key(head, wrapped)
    if len(iv) != _IV_TEXT or len(tag) != _TAG_TEXT:
        raise BODY_DECRYPTION()
    cipher = Cipher(AES(key), GCM(jws.decoded(iv), jws.decoded(tag))).decryptor()
    cipher.authenticate_additional_data(head)
    signed = _Signed(write)
    for piece in _decoded(source, at, stop):
        signed.add(cipher.update(piece))
    try:
        cipher.finalize()
    except InvalidTag:
        raise BODY_DECRYPTION() from None
    signer, media_type = signed.verified(find_key, now, limit)
    envelope = Envelope(head, wrapped, iv, key, bytes(signed.head), bytes(signed.signature))
    return LargeOpened(envelope, media_type, signer, signed.payload.digest())


def _decoded(source: File, at: int, stop: int) -> Iterator[bytes]:
    decoder = jws.Decoder()
    try:
        while at < stop:
            source.seek(at)
            part = source.read(min(CHUNK * 4, stop - at))
            at += len(part)
            yield decoder.add(part)
        yield decoder.end()
    except ValueError:
        raise wrong("JWE", _FORM) from None


class _Signed:
    """Takes a compact JWS apart that comes in pieces. A fault is kept, since the tag is checked first."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.head, self.signature = bytearray(), bytearray()
        self.payload: Final = hashlib.sha256()
        self._write: Final = write
        self._text: Final = hashlib.sha256()  # what is signed
        self._decoder: Final = jws.Decoder()
        self._part = 0  # 0 … 2, the one that comes
        self._whole = True
        self._size = 0

    def add(self, data: bytes) -> None:
        while data and self._whole:
            part, dot, data = data.partition(b".")
            try:
                self._take(part)
                if dot:
                    self._end_part()
            except ValueError:
                self._whole = False

    def _take(self, part: bytes) -> None:
        if self._part == 1:
            self._text.update(part)
            self._give(self._decoder.add(part))
            return
        kept, most = (self.head, MAX_HEADER) if self._part == 0 else (self.signature, _MAX_KEY)
        kept += part
        if len(kept) > most:
            raise ValueError("longer than any")

    def _end_part(self) -> None:
        if self._part == 0:
            self._text.update(self.head + b".")
        elif self._part == 1:
            self._give(self._decoder.end())
        else:
            raise ValueError("three parts are expected")
        self._part += 1

    def _give(self, data: bytes) -> None:
        self.payload.update(data)
        self._write(data)
        self._size += len(data)

    def verified(self, find_key: FindKey, now: float, limit: int) -> tuple[VerifyKey, str]:
        """The signer and the media type of the payload."""
        try:
            if not self._whole or self._part != 2 or not (self.head and self._size and self.signature):
                raise ValueError("three parts are expected")
            jws.split(bytes(self.head + b".." + self.signature))
        except ValueError:
            raise wrong("JWS", "compact, 3 × base64url") from None
        key, media_type = signer_of(bytes(self.head), find_key, now)
        if not key.signs_digests:
            raise BODY_SIGNED_WHOLE(algorithm=key.jose, limit=limit)
        key.verify_jose_digest(self._text.digest(), jws.decoded(bytes(self.signature)))
        return key, media_type
