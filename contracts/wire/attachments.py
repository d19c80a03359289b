"""Large base64 contents, streamed out of a message before a tree is built of it, and back in when it is written.

A text (of an XML element, of a JSON string) that is base64 and longer than `LIFT` goes into a spool, decoded; in the message a short stand-in
takes its place, itself base64, so that what reads and writes messages needs to know nothing of this. lxml refuses texts over 10 MB, rightly;
a tree costs eight to thirteen times its bytes.
Standards: RFC 4648 §4 (white space is allowed in XML only, as xs:base64Binary has it), XML 1.0, RFC 8259.
Invariants: a stand-in holds random bytes of its message's spool, so nobody can send one; `restore` gives back every octet in canonical base64.
A document with a DOCTYPE is refused here too (`xml.doctype`); anything else that is wrong with it is left to the real parsers.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import xml.parsers.expat as expat
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, NamedTuple

from contracts.base.randomness import random_bytes
from contracts.errors import XML_DOCTYPE, XML_TOO_LARGE

LIFT: Final = 65_536  # characters of base64; shorter ones stay where they are
CHUNK: Final = 262_144
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SPACE: Final = b" \t\r\n"
_MARK: Final = b"lgsp-attachment"
_NONCE: Final = 18
_START_TAG: Final = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*>""")
_OF_A_STRING: Final = re.compile(
    rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL
)  # in JSON, up to its quote; a last backslash stays before it


class Attachment(NamedTuple):
    """Contents in the spool: where they begin there, how many bytes they are, their SHA-256."""

    start: int
    size: int
    sha256: bytes


class Spool:
    """The attachments of one message, in a file that is handed in (opened for reading and writing, empty)."""

    def __init__(self, file: BinaryIO) -> None:
        self._file: Final = file
        self._nonce: Final = random_bytes(_NONCE)
        self.attachments: Final[list[Attachment]] = []
        head = binascii.b2a_base64(_MARK + self._nonce, newline=False)
        self._stand_ins: Final = re.compile(re.escape(head) + rb"([A-Za-z0-9+/]{4})")

    def stand_in(self, number: int) -> bytes:
        return binascii.b2a_base64(_MARK + self._nonce + number.to_bytes(3, "big"), newline=False)

    def behind(self, text: str) -> Attachment | None:
        """The attachment whose stand-in this text is."""
        found = self._stand_ins.fullmatch(text.encode("utf-8", "replace"))
        return None if found is None else self._numbered(found.group(1))

    def _numbered(self, digits: bytes) -> Attachment | None:
        number = int.from_bytes(binascii.a2b_base64(digits), "big")
        return self.attachments[number] if number < len(self.attachments) else None

    def contents(self, attachment: Attachment) -> Iterator[bytes]:
        at, end = attachment.start, attachment.start + attachment.size
        while at < end:
            self._file.seek(at)
            part = self._file.read(min(CHUNK * 3, end - at))
            if not part:
                raise EOFError("the spool is shorter than what was put into it")
            at += len(part)
            yield part

    def writer(self) -> _Writer:
        return _Writer(self._file)

    def restore(self, message: bytes) -> Iterator[bytes]:
        """The message as it goes out: each stand-in replaced by its contents in base64."""
        at = 0
        for found in self._stand_ins.finditer(message):
            attachment = self._numbered(found.group(1))
            if attachment is None:
                continue
            yield message[at : found.start()]
            for part in self.contents(attachment):  # of a multiple of three bytes, but for the last
                yield binascii.b2a_base64(part, newline=False)
            at = found.end()
        yield message[at:]


class _Writer:
    """Decodes base64 as it comes; `done` says whether it was that to the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.seek(0, 2)
        self._left = b""
        self._ended = False
        self._size = 0
        self._hash = hashlib.sha256()

    def add(self, text: bytes) -> bool:
        """False for what is no base64; then nothing more may be added."""
        text = self._left + text
        whole = len(text) & ~3
        self._left, text = text[whole:], text[:whole]
        if not text:
            return True
        padded = text.endswith(b"=")
        if self._ended or text.rstrip(b"=").translate(None, _ALPHABET):
            return False
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            return False
        self._ended = padded
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)
        return True

    def done(self) -> Attachment | None:
        return None if self._left else Attachment(self._start, self._size, self._hash.digest())

    def undo(self) -> None:
        self._file.seek(self._start)
        self._file.truncate()


class _Lift(NamedTuple):
    """Where in the source contents stood, and their number."""

    start: int
    end: int
    number: int


class _Text:
    """One text that may turn out to be large base64: kept until it is longer than `LIFT`, from then on spooled."""

    __slots__ = ("_kept", "_length", "_spool", "_writer", "whole")

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._kept: list[bytes] = []
        self._length = 0
        self._writer: _Writer | None = None
        self.whole = True  # still nothing but base64

    def add(self, text: bytes) -> None:
        if not self.whole:
            return
        if self._writer is None:
            self._kept.append(text)
            self._length += len(text)
            if self._length <= LIFT:
                return
            self._writer, text = self._spool.writer(), b"".join(self._kept)
            self._kept = []
        if not self._writer.add(text):
            self.drop()

    def drop(self) -> None:
        """It is something else: it stays in the message."""
        self.whole = False
        self._kept = []
        if self._writer is not None:
            self._writer.undo()
            self._writer = None

    def end(self) -> int | None:
        """The number of its attachment, if it became one."""
        if self._writer is None:
            return None
        found = self._writer.done()
        if found is None:
            self.drop()
            return None
        self._spool.attachments.append(found)
        return len(self._spool.attachments) - 1


def lift_xml(source: BinaryIO, spool: Spool, limit: int) -> bytes:
    """The document with stand-ins for its large base64 texts; `xml.too-large` if what remains is longer than `limit` bytes.

    A document that is not well-formed, or not in UTF-8, comes back as it is, for the parser to judge; `limit` holds for it too.
    """
    lifts: list[_Lift] = []
    text: _Text | None = None
    begin = 0
    parser = expat.ParserCreate()
    parser.buffer_text, parser.buffer_size = True, CHUNK
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def start(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal text, begin
        if text is not None:
            text.drop()
        text, begin = _Text(spool), parser.CurrentByteIndex

    def characters(data: str) -> None:
        if text is not None and text.whole:
            try:
                text.add(data.encode("ascii").translate(None, _SPACE))
            except UnicodeEncodeError:
                text.drop()

    def end(_name: str) -> None:
        nonlocal text
        number = text.end() if text is not None else None
        if number is not None:
            lifts.append(_Lift(begin, parser.CurrentByteIndex, number))
        text = None

    def mixed(*_: Any) -> None:
        if text is not None:
            text.drop()

    def doctype(*_: Any) -> None:
        raise XML_DOCTYPE()

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.StartCdataSectionHandler = parser.CommentHandler = parser.ProcessingInstructionHandler = mixed
    parser.StartDoctypeDeclHandler = doctype
    source.seek(0)
    if b"\x00" in (first := source.read(4)) or first[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16 and UTF-32
        return _rest(source, [], spool, limit)
    source.seek(0)
    try:
        while part := source.read(CHUNK):
            parser.Parse(part, False)
        parser.Parse(b"", True)
    except expat.ExpatError:
        return _rest(source, [], spool, limit)
    return _rest(source, [inside for lift in lifts if (inside := _inside(source, lift)) is not None], spool, limit)


def _inside(source: BinaryIO, lift: _Lift) -> _Lift | None:
    """From behind the start tag on. None for a tag of more than `CHUNK` bytes: what stands behind it stays in the message."""
    source.seek(lift.start)
    tag = _START_TAG.match(source.read(CHUNK))
    return None if tag is None else lift._replace(start=lift.start + tag.end())


def lift_json(source: BinaryIO, spool: Spool, limit: int) -> bytes:
    """The same for JSON: strings without an escape in them. What is wrong with the text is left to its parser."""
    lifts: list[_Lift] = []
    text: _Text | None = None
    escaped = False
    begin = position = 0
    source.seek(0)
    while part := source.read(CHUNK):
        at = 0
        while at < len(part):
            if text is None:
                quote = part.find(b'"', at)
                if quote < 0:
                    break
                at = quote + 1
                text, begin = _Text(spool), position + at
                continue
            if escaped:
                at, escaped = at + 1, False
                continue
            if not text.whole:  # each byte of it once: looking for the quote from behind each escape would read the rest again and again
                plain = _OF_A_STRING.match(part, at)
                at = plain.end() if plain is not None else at
                if part.startswith(b"\\", at):
                    at, escaped = at + 1, True
                elif at < len(part):
                    text, at = None, at + 1
                continue
            quote = part.find(b'"', at)
            stop = quote if quote >= 0 else len(part)
            slash = part.find(b"\\", at, stop)
            if slash >= 0:
                text.drop()
                at, escaped = slash + 1, True
                continue
            text.add(part[at:stop])
            at = stop
            if quote >= 0:
                number = text.end()
                if number is not None:
                    lifts.append(_Lift(begin, position + quote, number))
                text, at = None, quote + 1
        position += len(part)
    if text is not None:
        text.drop()
    return _rest(source, lifts, spool, limit)


def _rest(source: BinaryIO, lifts: list[_Lift], spool: Spool, limit: int) -> bytes:
    size = source.seek(0, 2) - sum(lift.end - lift.start for lift in lifts)
    if size > limit:
        raise XML_TOO_LARGE(size=size, limit=limit)
    parts: list[bytes] = []
    at = 0
    for lift in lifts:
        source.seek(at)
        parts += (source.read(lift.start - at), spool.stand_in(lift.number))
        at = lift.end
    source.seek(at)
    parts.append(source.read())
    return b"".join(parts)


Place = tuple[str | int, ...]


def stand_ins_in(message: object, spool: Spool, seen: Callable[[Place, Attachment], None], at: Place = ()) -> None:
    """Walk a canonical message and tell where stand-ins are: whoever reads it holds each place against the schema."""
    if isinstance(message, str):
        found = spool.behind(message)
        if found is not None:
            seen(at, found)
    elif isinstance(message, dict):
        for name, value in message.items():
            stand_ins_in(value, spool, seen, (*at, name))
    elif isinstance(message, list):
        for number, value in enumerate(message):
            stand_ins_in(value, spool, seen, (*at, number))
