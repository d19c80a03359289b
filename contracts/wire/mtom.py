"""Takes a SOAP message with attached files apart (MTOM): one linear scan over a multipart/related package.

    envelope with stand-ins -> package_of -> the package with raw stand-ins
    package -> lift_package -> the package with stand-ins, and the envelope of its root part
    envelope -> put_in -> each xop:Include replaced by the stand-in of its part, as base64 text would stand there

Standards: MTOM 1.0, XOP 1.0, RFC 2387 (multipart/related), RFC 2046 §5.1, RFC 2392 (cid:).
Invariant: each part but the root is named by exactly one xop:Include, which is the only content of its element. So a
part cannot be shown twice, and none is carried along unseen.
Invariant: each byte is searched once. Number and heads of parts are bounded.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from lxml import etree

from contracts.base.randomness import random_bytes
from contracts.errors import MTOM_MALFORMED, XML_TOO_LARGE
from contracts.wire.attachments import CHUNK, File, Spool
from contracts.wire.soap import Version

XOP: Final = "http://www.w3.org/2004/08/xop/include"
INCLUDE: Final = f"{{{XOP}}}Include"
PACKAGE: Final = "multipart/related"
ROOT_TYPE: Final = "application/xop+xml"
MOST_PARTS: Final = 1_000
HEAD_BYTES: Final = 4_096
_PARAMETER: Final = re.compile(r';[ \t]*([A-Za-z0-9-]{1,40})=(?:"([^"\\]{0,200})"|([^\s";,]{1,200}))')
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_FIELD: Final = re.compile(rb"([A-Za-z0-9-]{1,60}):[ \t]*([\x20-\x7e\t]{0,1000})")
_CODINGS: Final = frozenset({"binary", "8bit", "7bit"})


def parameters(content_type: str) -> dict[str, str]:
    """The parameters of a media type by lower-case name. MTOM_MALFORMED for one that comes twice."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(content_type[:2_000]):
        name = match[1].lower()
        if name in found:
            raise MTOM_MALFORMED(why=f"Content-Type: {name} × 2")
        found[name] = match[2] if match[2] is not None else match[3]
    return found


class Package(NamedTuple):
    """`rest` is the package with raw stand-ins for the contents of its parts; `numbers` their numbers by Content-ID.
    `short`: the parts that stay in `rest`.
    """

    rest: bytes
    envelope: bytes
    media_type: str  # of the envelope, without XOP: text/xml, application/soap+xml
    numbers: dict[str, int]
    short: dict[str, bytes]


class _Scan:
    """The bytes of the source, with one delimiter to stop at."""

    def __init__(self, source: File, delimiter: bytes) -> None:
        self._source, self._delimiter = source, delimiter
        self._buffer = b"\r\n"  # the first delimiter may begin the body
        source.seek(0)
        self._ended = False

    def _more(self) -> bool:
        part = b"" if self._ended else self._source.read(CHUNK)
        self._ended = not part
        self._buffer += part
        return bool(part)

    def until_delimiter(self) -> Iterator[bytes]:
        """What comes before the next delimiter, which is taken too."""
        while True:
            at = self._buffer.find(self._delimiter)
            if at >= 0:
                found, self._buffer = self._buffer[:at], self._buffer[at + len(self._delimiter) :]
                if found:
                    yield found
                return
            safe = len(self._buffer) - len(self._delimiter) + 1
            if safe > 0:
                found, self._buffer = self._buffer[:safe], self._buffer[safe:]
                yield found
            if not self._more():
                raise MTOM_MALFORMED(why="no closing boundary")

    def take(self, length: int) -> bytes:
        while len(self._buffer) < length and self._more():
            pass
        found, self._buffer = self._buffer[:length], self._buffer[length:]
        return found

    def head(self) -> bytes:
        """The fields of a part, up to the empty line after them."""
        while True:
            at = self._buffer.find(b"\r\n\r\n", 0, HEAD_BYTES)
            if at >= 0:
                found, self._buffer = self._buffer[:at], self._buffer[at + 4 :]
                return found
            if len(self._buffer) >= HEAD_BYTES or not self._more():
                raise MTOM_MALFORMED(why=f"the head of a part has at most {HEAD_BYTES} bytes")


def lift_package(source: File, spool: Spool, limit: int, content_type: str, *, short: int = 0) -> Package:
    """MTOM_MALFORMED; `xml.too-large` if what is left is longer than `limit` bytes. Parts of at most `short` bytes
    stay.
    """
    given = parameters(content_type)
    boundary = given.get("boundary", "")
    if given.get("type", "").lower() != ROOT_TYPE or _BOUNDARY.fullmatch(boundary) is None:
        raise MTOM_MALFORMED(why=f'Content-Type: type="{ROOT_TYPE}"; boundary')
    scan = _Scan(source, b"\r\n--" + boundary.encode())
    if any(scan.until_delimiter()):
        raise MTOM_MALFORMED(why="text before the first part")
    rest, envelope = [b"--" + boundary.encode()], b""
    numbers, stay = dict[str, int](), dict[str, bytes]()
    size, parts, root = 0, 0, given.get("start", "").strip().strip("<>")
    while (end := scan.take(2)) == b"\r\n":
        parts += 1
        if parts > MOST_PARTS:
            raise MTOM_MALFORMED(why=f"at most {MOST_PARTS} parts")
        head = scan.head()
        fields = _fields(head)
        name = fields.get("content-id", "").strip("<>")
        media = fields.get("content-type", "").partition(";")[0].strip().lower()
        if parts == 1:
            if root not in ("", name) or media != ROOT_TYPE:
                raise MTOM_MALFORMED(why=f"the first part is not the root of the type {ROOT_TYPE}")
            root = name
            envelope = contents = _held(scan.until_delimiter(), limit)
        else:
            if not name or name in numbers or name in stay or name == root:
                raise MTOM_MALFORMED(why="a Content-ID is missing, or there twice")
            if media.startswith(("multipart/", "message/")):
                raise MTOM_MALFORMED(why="a package in a package")
            contents = _lifted(scan.until_delimiter(), spool, short, name, numbers, stay)
        rest += (b"\r\n", head, b"\r\n\r\n", contents, b"\r\n--", boundary.encode())
        size += len(head) + len(contents) + len(boundary) + 10
        if size > limit:
            raise XML_TOO_LARGE(size=size, limit=limit)
    if end != b"--" or not parts or scan.take(3) not in (b"", b"\r\n"):
        raise MTOM_MALFORMED(why="text after a boundary")
    source.seek(-2, 2)
    rest.append(b"--\r\n" if source.read(2) == b"\r\n" else b"--")
    media_type = given.get("start-info", "text/xml").partition(";")[0].strip()
    return Package(b"".join(rest), envelope, media_type, numbers, stay)


def _lifted(
    pieces: Iterator[bytes], spool: Spool, short: int, name: str, numbers: dict[str, int], stay: dict[str, bytes]
) -> bytes:
    """What stands in the rest for the contents of a part, which goes to `numbers`, or to `stay` if it is short."""
    begin = bytearray()
    while short and len(begin) <= short:
        piece = next(pieces, b"")
        if not piece:
            stay[name] = bytes(begin)
            return stay[name]
        begin += piece
    numbers[name] = spool.add(chain((bytes(begin),), pieces))
    return spool.raw_stand_in(numbers[name])


def _held(pieces: Iterator[bytes], limit: int) -> bytes:
    parts, size = list[bytes](), 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise XML_TOO_LARGE(size=size, limit=limit)
        parts.append(piece)
    return b"".join(parts)


def _fields(head: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        match = _FIELD.fullmatch(line)
        name = match[1].decode().lower() if match is not None else ""
        if match is None or name in found:
            raise MTOM_MALFORMED(why="a field of a part is no name: value in one line, or there twice")
        found[name] = match[2].decode().strip()
    if found.get("content-transfer-encoding", "binary").lower() not in _CODINGS:
        raise MTOM_MALFORMED(why=f"Content-Transfer-Encoding: {', '.join(sorted(_CODINGS))}")
    return found


def package_of(envelope: bytes, spool: Spool, version: Version) -> tuple[str, bytes]:
    """(Content-Type, package) of an envelope; its contents become parts, in the order in which they are named."""
    boundary = f"lgsp-{random_bytes(18).hex()}"
    parts: list[bytes] = []

    def include(number: int) -> bytes:
        name = f"{len(parts)}@lgsp".encode()
        head = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <%b>" % name
        parts.append(head + b"\r\n\r\n" + spool.raw_stand_in(number))
        return b'<xop:Include xmlns:xop="%b" href="cid:%b"></xop:Include>' % (XOP.encode(), name)

    root = spool.replaced(envelope, include)
    head = (
        f'Content-Type: {ROOT_TYPE}; charset=utf-8; type="{version.media_type}"\r\n'
        "Content-Transfer-Encoding: binary\r\nContent-ID: <envelope@lgsp>\r\n\r\n"
    )
    between = f"\r\n--{boundary}".encode()
    whole = b"".join(
        (between[2:], b"\r\n", head.encode(), root, *(between + b"\r\n" + each for each in parts), between)
    )
    content_type = f'{PACKAGE}; type="{ROOT_TYPE}"; boundary="{boundary}"; start="<envelope@lgsp>"'
    return f'{content_type}; start-info="{version.media_type}"', whole + b"--\r\n"


def put_in(root: etree._Element, package: Package, spool: Spool) -> None:
    """Replaces each xop:Include of the envelope."""
    left: dict[str, bytes] = {name: spool.stand_in(number) for name, number in package.numbers.items()}
    left |= {name: binascii.b2a_base64(contents, newline=False) for name, contents in package.short.items()}
    for include in list(root.iter(INCLUDE)):
        parent = include.getparent()
        if (
            parent is None
            or len(parent) != 1
            or len(include)
            or include.text
            or (parent.text or "").strip()
            or (include.tail or "").strip()
            or list(include.attrib) != ["href"]
        ):
            raise MTOM_MALFORMED(why="xop:Include is not the only content of its element, or has more than href")
        href = include.get("href", "")
        try:
            name = unquote_to_bytes(href[4:]).decode("ascii") if href.lower().startswith("cid:") else ""
        except UnicodeDecodeError:
            name = ""
        text = left.pop(name, None)
        if text is None:
            raise MTOM_MALFORMED(why="a cid: names no part, or one that is named twice")
        parent.remove(include)
        parent.text = text.decode("ascii")
    if left:
        raise MTOM_MALFORMED(why="a part is named by no xop:Include")
