"""Two signature bases beside each other, byte by byte, with the first difference marked.

A signature base is the text that a signature covers (RFC 9421 §2.5), or the canonical XML of a ds:SignedInfo.
Invariant: the work is linear in what is compared, and at most `MOST` bytes of each side are.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from lxml import etree

from contracts.base.errors import Failure
from contracts.wire.soap import parse_xml
from gateway.sandbox.calls.traces import MOST_BASE

MOST: Final = MOST_BASE
_WIDE: Final = 56  # bytes of a row
_ROWS: Final = 400
_AROUND: Final = 8
_SIGNS: Final = {0x0A: "↵", 0x0D: "\\r", 0x09: "\\t", 0x20: "·"}


@dataclass(frozen=True, slots=True)
class Row:
    """Some bytes of both sides: before the first difference, the differing byte (`at`), and after it."""

    ours: tuple[str, str, str]
    hers: tuple[str, str, str]
    same: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """`offset`: of the first differing byte, counted from 0; None if both are equal. `line`, `column` count from 1.

    `ours`, `hers`: the differing byte and those around it, in hexadecimal; empty at the end of a side.
    `cut`: more bytes came than are compared.
    """

    equal: bool
    sizes: tuple[int, int]
    rows: tuple[Row, ...]
    offset: int | None = None
    line: int = 0
    column: int = 0
    ours: str = ""
    hers: str = ""
    cut: bool = False


def compared(ours: bytes, hers: bytes) -> Compared:
    cut = max(len(ours), len(hers)) > MOST
    ours, hers = ours[:MOST], hers[:MOST]
    sizes = (len(ours), len(hers))
    offset = _first(ours, hers)
    if offset is None:
        return Compared(True, sizes, _rows(ours, hers, None), cut=cut)
    before = ours[:offset]
    return Compared(
        equal=False,
        sizes=sizes,
        rows=_rows(ours, hers, offset),
        offset=offset,
        line=before.count(b"\n") + 1,
        column=offset - before.rfind(b"\n"),
        ours=_hex(ours, offset),
        hers=_hex(hers, offset),
        cut=cut,
    )


def given(text: str) -> bytes:
    """What somebody pasted. A browser sends line ends as CR LF, so they are read as LF.

    A text that is one piece of base64, as the header has it, is decoded: so every byte can be given.
    """
    joined = "".join(text.split()).strip(":")
    if len(joined) >= 16 and "\n" not in text.strip() and " " not in text.strip():
        try:
            return base64.b64decode(joined, validate=True)
        except (binascii.Error, ValueError):
            pass
    return text.replace("\r\n", "\n").encode()


def decoded(header: str) -> bytes | None:
    """The base that a caller sent with the call; None for none, or for what is no base64."""
    try:
        return base64.b64decode(header.strip().strip(":"), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def digest_of(sha256: str) -> str:
    """Content-Digest (RFC 9530) of the body that came, by its digest in hexadecimal."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode('ascii')}:"


def canonical_part(envelope: bytes, part: str) -> bytes | None:
    """A part of an envelope (`soap:Body`) in exclusive canonical form: what its digest is of. None if it is not there.

    For envelopes that the door took apart before: nothing in them is too wide for the canonical form.
    """
    try:
        root = parse_xml(envelope)
    except Failure:
        return None
    local = part.partition(":")[2]
    found = next((each for each in root.iter(f"{{*}}{local}")), None)
    if found is None:
        return None
    return bytes(etree.tostring(found, method="c14n", exclusive=True, with_comments=False, with_tail=False))


def readable(data: bytes) -> str:
    """Each byte that cannot be seen gets a sign; what is no UTF-8 is written in hexadecimal."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(map(_sign, text))


def _sign(letter: str) -> str:
    sign = _SIGNS.get(ord(letter))
    return sign if sign is not None else letter if letter.isprintable() else f"\\u{ord(letter):04x}"


def _first(ours: bytes, hers: bytes) -> int | None:
    if ours == hers:
        return None
    low, high = 0, min(len(ours), len(hers))
    while low < high:  # halves: each byte is compared at most twice
        middle = (low + high + 1) // 2
        if ours[low:middle] == hers[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _rows(ours: bytes, hers: bytes, offset: int | None) -> tuple[Row, ...]:
    left, right = _lines(ours), _lines(hers)
    rows: list[Row] = []
    for number in range(min(max(len(left), len(right)), _ROWS)):
        one, two = (side[number] if number < len(side) else (-1, b"") for side in (left, right))
        rows.append(Row(_marked(one, offset), _marked(two, offset), one[1] == two[1]))
    return tuple(rows)


def _lines(text: bytes) -> list[tuple[int, bytes]]:
    """The lines with where each begins; long ones in pieces."""
    found: list[tuple[int, bytes]] = []
    at = 0
    for line in _ended(text):
        for start in range(0, len(line), _WIDE):
            found.append((at + start, line[start : start + _WIDE]))
        at += len(line)
    return found


def _ended(text: bytes) -> list[bytes]:
    """Lines end with LF alone: a CR before it is a byte like any other."""
    parts = text.split(b"\n")
    lines = [each + b"\n" for each in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


def _marked(row: tuple[int, bytes], offset: int | None) -> tuple[str, str, str]:
    begins, data = row
    if offset is None or not 0 <= offset - begins < max(len(data), 1) or begins < 0:
        return readable(data), "", ""
    at = offset - begins
    return readable(data[:at]), readable(data[at : at + 1]), readable(data[at + 1 :])


def _hex(side: bytes, offset: int) -> str:
    before, at, after = side[max(0, offset - _AROUND) : offset], side[offset : offset + 1], side[offset + 1 :][:_AROUND]
    return f"{before.hex(' ')} [{at.hex()}] {after.hex(' ')}".strip()
