"""Texts around large contents that are computed when a message is written: base64url, and encryptions.

A message in memory marks where a layer begins and ends. Inside are texts and stand-ins (`attachments`), or more layers:

    in_base64url   the inner text in base64url, without padding (RFC 4648 §5)
    for_jwe        AES-256-GCM of the inner text: ciphertext "." tag, both in base64url (RFC 7516 §7.1)
    for_xml        the same as XML Encryption has it: base64 of nonce, ciphertext and tag (XML Encryption 1.1 §5.2.4),
                   with the white space that it came with
    in_package     the same octets as they are, as a part of a package has them (MTOM)

The key and the nonce are in the mark. So the text can be written again, octet by octet, wherever the whole is kept
under seal.
Invariant: the same key and nonce never meet another text: a mark is made once, for one text.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from contracts.wire.base64_lines import Lines, extra, laid_out

KEY: Final = 32
NONCE: Final = 12
TAG: Final = 16
_BEGINS: Final = (b"lgsp-attach-url", b"lgsp-attach-jwe", b"lgsp-attach-xml", b"lgsp-attach-bin")
_ENDS: Final = b"lgsp-attach-end"
_STOP: Final = b"!"  # behind the key: no character of base64


class Layer(Protocol):
    def over(self, inner: Iterator[bytes], /) -> Iterator[bytes]:
        """The outer text, of the pieces of the whole inner text."""
        ...

    def size(self, inner: int, /) -> int:
        """The length of the outer text of so many bytes."""
        ...


class Base64Url:
    def over(self, inner: Iterator[bytes], /) -> Iterator[bytes]:
        for data, last in _threes(inner):
            yield urlsafe_b64encode(data).rstrip(b"=") if last else urlsafe_b64encode(data)

    def size(self, inner: int, /) -> int:
        return -(-inner * 4 // 3)


class ForJwe(NamedTuple):
    """`also` is authenticated too: the header of the JWE."""

    key: bytes
    nonce: bytes
    also: bytes

    def over(self, inner: Iterator[bytes], /) -> Iterator[bytes]:
        cipher = Cipher(AES(self.key), GCM(self.nonce)).encryptor()
        cipher.authenticate_additional_data(self.also)
        yield from Base64Url().over(map(cipher.update, inner))
        cipher.finalize()
        yield b"." + _url(cipher.tag)

    def size(self, inner: int, /) -> int:
        return Base64Url().size(inner) + 1 + Base64Url().size(TAG)


class InPackage(NamedTuple):
    key: bytes
    nonce: bytes

    def over(self, inner: Iterator[bytes], /) -> Iterator[bytes]:
        cipher = Cipher(AES(self.key), GCM(self.nonce)).encryptor()
        yield self.nonce
        yield from map(cipher.update, inner)
        cipher.finalize()
        yield cipher.tag

    def size(self, inner: int, /) -> int:
        return NONCE + inner + TAG


class ForXml(NamedTuple):
    key: bytes
    nonce: bytes
    lines: Lines

    def over(self, inner: Iterator[bytes], /) -> Iterator[bytes]:
        sealed = InPackage(self.key, self.nonce).over(inner)
        coded = (binascii.b2a_base64(data, newline=False) for data, _ in _threes(sealed))
        return laid_out(coded, self.lines)

    def size(self, inner: int, /) -> int:
        return -(-InPackage(self.key, self.nonce).size(inner) // 3) * 4 + extra(self.lines)


def _threes(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The pieces with multiples of three bytes each, and whether it is the last, which has what is left over."""
    left = b""
    for piece in pieces:
        piece = left + piece
        whole = len(piece) - len(piece) % 3
        left = piece[whole:]
        if whole:
            yield piece[:whole], False
    yield left, True


class Marks:
    """The marks of one message, which hold the random bytes of its spool."""

    def __init__(self, nonce: bytes) -> None:
        self._url, self._jwe, self._xml, self._package, self._end = (
            binascii.b2a_base64(mark + nonce, newline=False) for mark in (*_BEGINS, _ENDS)
        )
        marks = (re.escape(mark) for mark in (self._url, self._jwe, self._xml, self._package, self._end))
        self.pattern: Final = (
            rb"(?P<url>%b)|(?:%b(?P<jwe>[^!]++)|%b(?P<xml>[^!]++)|%b(?P<package>[^!]++))!|(?P<end>%b)" % tuple(marks)
        )

    def in_base64url(self, text: bytes) -> bytes:
        return self._url + text + self._end

    def for_jwe(self, text: bytes, key: bytes, nonce: bytes, also: bytes) -> bytes:
        return self._jwe + _url(key + nonce + also) + _STOP + text + self._end

    def for_xml(self, text: bytes, key: bytes, nonce: bytes, lines: Lines = ()) -> bytes:
        written = json.dumps([(length, space.decode("ascii"), count) for length, space, count in lines])
        return self._xml + _url(key + nonce + written.encode("ascii")) + _STOP + text + self._end

    def in_package(self, text: bytes, key: bytes, nonce: bytes) -> bytes:
        return self._package + _url(key + nonce) + _STOP + text + self._end


def begun(match: re.Match[bytes]) -> Layer | None:
    """The layer that a match of `Marks.pattern` begins; None for an end."""
    url, jwe, xml, package = match.group("url", "jwe", "xml", "package")
    if url is not None:
        return Base64Url()
    told = jwe or xml or package
    if told is None:
        return None
    raw = urlsafe_b64decode(told + b"=" * (-len(told) % 4))
    key, nonce, rest = raw[:KEY], raw[KEY : KEY + NONCE], raw[KEY + NONCE :]
    if jwe is not None:
        return ForJwe(key, nonce, rest)
    if package is not None:
        return InPackage(key, nonce)
    lines = tuple((length, space.encode("ascii"), count) for length, space, count in json.loads(rest))
    return ForXml(key, nonce, lines)


def written(parts: Iterator[bytes | Layer | None]) -> Iterator[bytes]:
    """The text of the parts, each through the layers around it. None ends the innermost layer."""
    for part in parts:
        if part is None:
            return
        if isinstance(part, bytes):
            yield part
        else:
            yield from part.over(written(parts))


def total(sizes: Iterator[int | Layer | None]) -> int:
    """The length of `written`, by the lengths of its parts."""
    count = 0
    for size in sizes:
        if size is None:
            break
        count += size if isinstance(size, int) else size.size(total(sizes))
    return count


def _url(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
