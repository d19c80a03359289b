"""Seals stored data: AES-256-GCM in 64 KiB chunks, with a separate key for each message (HKDF-Expand, RFC 5869).

Format: version (1 byte), salt (32), chunks, each with its tag. A chunk's nonce and authenticated data are its number
and whether it is the last. The key binds the context. Each message has its own key, so a counter is a safe nonce.
The sealing key is uniformly random, so HKDF needs no extract step (RFC 5869 §3.3). Version 1 had one, and still opens.
Invariant: a record that was edited, cut, extended, reordered, or moved to another context does not open, in whole or
in part.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.base.errors import Ours
from contracts.base.randomness import random_bytes
from security.errors import SEAL_BROKEN

CHUNK: Final = 65536
TAG: Final = 16
KEY: Final = 32
_VERSION: Final = b"\x02"
_EXTRACTED: Final = b"\x01"  # version 1
_SALT: Final = 32
_HEAD: Final = 1 + _SALT
_SEALED: Final = CHUNK + TAG
_INFO: Final = b"lgsp seal v2\x00"
_INFO_1: Final = b"lgsp seal v1\x00"
_BLOCK: Final = 64  # bytes of a SHA-256 block
_IPAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OPAD: Final = bytes(byte ^ 0x5C for byte in range(256))
_NONCE_0: Final = bytes(12)
_ONLY: Final = bytes(8) + b"\x01"  # authenticated data of an only chunk


class Sealer:
    """Seals and opens under one key. The common part of HKDF's HMAC (RFC 2104) is computed once."""

    __slots__ = ("_inner", "_key", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY:
            raise ValueError(f"a sealing key has {KEY} bytes")
        self._key = key  # for records of version 1
        padded = key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(padded.translate(_IPAD) + _INFO)
        self._outer = hashlib.sha256(padded.translate(_OPAD))

    def seal(self, context: bytes, plain: bytes, *, salt: bytes | None = None) -> bytes:
        """`context` (`<transfer>/<part>`) is needed again to open the record. `salt` is for tests only."""
        salt = random_bytes(_SALT) if salt is None else salt
        if len(salt) != _SALT:
            raise ValueError(f"a salt has {_SALT} bytes")
        cipher = self.cipher(_VERSION + salt, context)
        if len(plain) <= CHUNK:
            return _VERSION + salt + cipher.encrypt(_NONCE_0, plain, _ONLY)
        view = memoryview(plain)
        count = -(-len(plain) // CHUNK)
        parts = [_VERSION, salt]
        for number in range(count):
            part = view[number * CHUNK : (number + 1) * CHUNK]
            parts.append(cipher.encrypt(_nonce(number), part, _data(number, last=number == count - 1)))
        return b"".join(parts)

    def unseal(self, context: bytes, sealed: bytes) -> bytes:
        """The plain bytes. SEAL_BROKEN for anything that `seal` did not make."""
        count = _count(len(sealed), context)
        cipher = self.cipher(sealed[:_HEAD], context)
        if count > 1:
            return b"".join([_open(cipher, sealed, number, count, context) for number in range(count)])
        try:
            return cipher.decrypt(_NONCE_0, sealed[_HEAD:], _ONLY)
        except InvalidTag:
            raise _broken(context, "chunk 0") from None

    def cipher(self, head: bytes, context: bytes) -> AESGCM:
        """The cipher of the record that begins so. SEAL_BROKEN for an unknown version."""
        salt = head[1:]
        if head[:1] == _VERSION:
            inner, outer = self._inner.copy(), self._outer.copy()
            inner.update(salt + context + b"\x01")
            outer.update(inner.digest())
            return AESGCM(outer.digest())
        if head[:1] != _EXTRACTED:
            raise _broken(context, "version")
        return AESGCM(expand(hmac.digest(salt, self._key, "sha256"), _INFO_1 + context))


def seal(key: bytes, context: bytes, plain: bytes, *, salt: bytes | None = None) -> bytes:
    """Seals one message; see `Sealer`."""
    return Sealer(key).seal(context, plain, salt=salt)


def unseal(key: bytes, context: bytes, sealed: bytes) -> bytes:
    """Opens one record; see `Sealer`."""
    return Sealer(key).unseal(context, sealed)


class Record(NamedTuple):
    """A record of `size` sealed bytes; `read(at, length)` returns a part of it."""

    size: int
    read: Callable[[int, int], bytes]


def unseal_pieces(
    key: bytes, context: bytes, record: Record, start: int, stop: int, *, chunks: int = 16
) -> Iterator[bytes]:
    """The plain bytes from `start` to before `stop`, some chunks at a time.

    The record is never in memory as a whole.
    """
    size, read = record
    if start < 0 or stop < start:
        raise ValueError("a part begins at 0 or later and does not end before it")
    count, stop = _count(size, context), min(stop, plain_size(size))
    cipher = Sealer(key).cipher(read(0, _HEAD), context)
    for first in range(start // CHUNK, -(-stop // CHUNK), chunks):
        last = min(first + chunks, -(-stop // CHUNK))
        at = _HEAD + first * _SEALED
        part = memoryview(read(at, min(_HEAD + last * _SEALED, size) - at))
        plain = [
            _decrypt(cipher, part[(n - first) * _SEALED : (n - first + 1) * _SEALED], n, count, context)
            for n in range(first, last)
        ]
        joined, base = b"".join(plain), first * CHUNK
        yield joined[max(start - base, 0) : stop - base]


def plain_size(sealed_size: int) -> int:
    """The number of plain bytes in a sealed record of that size."""
    body = sealed_size - _HEAD
    return body - TAG * max(1, -(-body // _SEALED))


def expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand with SHA-256 for one output block of 32 bytes; `key` is uniformly random."""
    return hmac.digest(key, info + b"\x01", "sha256")


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _data(number: int, *, last: bool) -> bytes:
    return number.to_bytes(8, "big") + (b"\x01" if last else b"\x00")


def _broken(context: bytes, where: str) -> Ours:
    return SEAL_BROKEN(where=f"{context.decode('utf-8', 'replace')}, {where}")


def _count(size: int, context: bytes) -> int:
    body = size - _HEAD
    if body < TAG:
        raise _broken(context, f"{size} bytes")
    count, rest = divmod(body, _SEALED)
    if rest and rest < TAG + (1 if count else 0):
        raise _broken(context, f"{size} bytes")
    return count + (1 if rest else 0)


def _open(cipher: AESGCM, sealed: bytes | memoryview, number: int, count: int, context: bytes) -> bytes:
    start = _HEAD + number * _SEALED
    return _decrypt(cipher, sealed[start : start + _SEALED], number, count, context)


def _decrypt(cipher: AESGCM, chunk: bytes | memoryview, number: int, count: int, context: bytes) -> bytes:
    try:
        return cipher.decrypt(_nonce(number), chunk, _data(number, last=number == count - 1))
    except InvalidTag:
        raise _broken(context, f"chunk {number}") from None
