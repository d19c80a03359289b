"""Reads DER (X.690) as far as time-stamp tokens need it: element by element, with the original bytes.

Libraries reject a token whose certificates are not sorted as DER requires for a SET OF, but common authorities send
such tokens. The signed bytes are compared elsewhere, so their order proves nothing here.
Invariant: an element is wholly within the bytes, with a definite length in its shortest form, or it is a `BadDer`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

INTEGER: Final = 0x02
OCTETS: Final = 0x04
OID: Final = 0x06
TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
_TIME: Final = re.compile(r"(\d{14})(?:\.(\d{0,8}[1-9]))?Z")


class BadDer(ValueError):
    """Invalid bytes; the text says why."""


class Element(NamedTuple):
    tag: int
    content: bytes
    raw: bytes  # including tag and length

    def of(self, tag: int) -> bytes:
        """The content of an element that must have this tag."""
        if self.tag != tag:
            raise BadDer(f"an element of tag {tag:#x} is missing; there is {self.tag:#x}")
        return self.content


def first(data: bytes, at: int = 0) -> tuple[Element, int]:
    """The element at an offset, and the offset of the next one."""
    if at + 2 > len(data):
        raise BadDer("it ends within an element")
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise BadDer("a tag of several bytes")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or start + count > len(data):
            raise BadDer("a length that is indefinite, or out of bounds")
        length = int.from_bytes(data[start : start + count], "big")
        if length < 0x80 or length >> 8 * (count - 1) == 0:
            raise BadDer("a length that is not in its shortest form")
        start += count
    end = start + length
    if end > len(data):
        raise BadDer("it ends within an element")
    return Element(tag, data[start:end], data[at:end]), end


def only(data: bytes, tag: int) -> bytes:
    """The content of the only element in the bytes."""
    element_, end = first(data)
    if end != len(data):
        raise BadDer("there is more behind it")
    return element_.of(tag)


def each(content: bytes) -> Iterator[Element]:
    """The elements of a content, in their order."""
    at = 0
    while at < len(content):
        element_, at = first(content, at)
        yield element_


def integer(content: bytes) -> int:
    """A signed INTEGER of at most 64 bytes."""
    if not content or len(content) > 64:
        raise BadDer("a number without bytes, or with too many")
    return int.from_bytes(content, "big", signed=True)


def oid(content: bytes) -> str:
    """An object identifier in dotted form."""
    if not content or content[-1] & 0x80 or len(content) > 64:
        raise BadDer("a broken object identifier")
    parts: list[int] = []
    value = 0
    for byte in content:
        if not value and byte == 0x80:
            raise BadDer("a broken object identifier")
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            parts.append(value)
            value = 0
    top = min(parts[0] // 40, 2)
    return ".".join(str(part) for part in (top, parts[0] - 40 * top, *parts[1:]))


def time(content: bytes) -> float:
    """A GeneralizedTime of RFC 3161 §2.4.2: UTC, optional fraction without trailing zeros."""
    match = _TIME.fullmatch(content.decode("ascii", "replace"))
    if match is None:
        raise BadDer("a time that is not YYYYMMDDhhmmss[.s…]Z")
    try:
        whole = datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise BadDer("a time that there is not") from None
    return (whole + timedelta(seconds=float(f"0.{match[2] or 0}"))).timestamp()


# --- writing ----------------------------------------------------------------------------------------------------------


def element(tag: int, *parts: bytes) -> bytes:
    """The encoded element with this content."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    width = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + size.to_bytes(width, "big") + content


def number(value: int) -> bytes:
    """An encoded INTEGER."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
