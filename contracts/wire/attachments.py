"""Moves large base64 contents out of a message before it is parsed, and back in when it is written.

A text of XML or a JSON string that is base64 and longer than `LIFT` is decoded into a spool.
A short stand-in, itself base64, replaces it in the message, so that readers and writers need no change.
lxml rejects texts over 10 MB, and a tree costs eight to thirteen times its bytes.
Standards: RFC 4648 §4 (white space only in XML, as xs:base64Binary allows), XML 1.0, RFC 8259.
Invariants: a stand-in holds random bytes of its message's spool, so it cannot be forged; `restore` returns every octet
in canonical base64; a DOCTYPE is rejected here too (`xml.doctype`). Other faults are left to the real parsers.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import xml.parsers.expat as expat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from contracts.base.randomness import random_bytes
from contracts.errors import XML_DOCTYPE, XML_TOO_LARGE

LIFT: Final = 65_536  # characters of base64; shorter contents stay in the message
CHUNK: Final = 262_144
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SPACE: Final = b" \t\r\n"
_MARK: Final = b"lgsp-attachment"
_RAW: Final = b"lgsp-attach-raw"
_NONCE: Final = 18
_START_TAG: Final = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*>""")
# A JSON string up to its closing quote; a trailing backslash is not consumed.
_STRING_REST: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


STAND_INS_BEGIN: Final = tuple(binascii.b2a_base64(mark, newline=False) for mark in (_MARK, _RAW))  # of every spool


class File(Protocol):
    """What a spool needs of a file."""

    def read(self, length: int = -1, /) -> bytes: ...
    def write(self, data: bytes, /) -> int: ...
    def seek(self, at: int, whence: int = 0, /) -> int: ...
    def truncate(self) -> int: ...


class Attachment(NamedTuple):
    """Contents in the spool: offset and length in bytes, SHA-256."""

    start: int
    size: int
    sha256: bytes


class Spool:
    """The attachments of one message, in an empty file opened for reading and writing."""

    def __init__(self, file: File, nonce: bytes | None = None, attachments: Sequence[Attachment] = ()) -> None:
        """`nonce` and `attachments` are given for the file of an earlier spool."""
        self._file: Final = file
        self.nonce: Final = random_bytes(_NONCE) if nonce is None else nonce
        self.attachments: Final[list[Attachment]] = list(attachments)
        heads = [binascii.b2a_base64(mark + self.nonce, newline=False) for mark in (_MARK, _RAW)]
        self._heads: Final = [head.decode("ascii") for head in heads]
        coded, raw = (re.escape(head) for head in heads)
        self._stand_in: Final = re.compile(coded + rb"([A-Za-z0-9+/]{4})")
        self._stand_ins: Final = re.compile(rb"(?:(%b)|%b)([A-Za-z0-9+/]{4})" % (raw, coded))

    def stand_in(self, number: int) -> bytes:
        return binascii.b2a_base64(_MARK + self.nonce + number.to_bytes(3, "big"), newline=False)

    def raw_stand_in(self, number: int) -> bytes:
        """For contents that travel as they are, not in base64."""
        return binascii.b2a_base64(_RAW + self.nonce + number.to_bytes(3, "big"), newline=False)

    def replaced(self, message: bytes, by: Callable[[int], bytes]) -> bytes:
        """The message with other bytes in the place of each stand-in for base64."""

        def one(match: re.Match[bytes]) -> bytes:
            known = self._numbered(match.group(1)) is not None
            return by(int.from_bytes(binascii.a2b_base64(match.group(1)), "big")) if known else match.group()

        return self._stand_in.sub(one, message)

    def attachment_of(self, text: str) -> Attachment | None:
        """The attachment that this stand-in text represents; None for any other text."""
        match = self._stand_in.fullmatch(text.encode("utf-8", "replace"))
        return None if match is None else self._numbered(match.group(1))

    def _numbered(self, digits: bytes) -> Attachment | None:
        number = int.from_bytes(binascii.a2b_base64(digits), "big")
        return self.attachments[number] if number < len(self.attachments) else None

    def mentions(self, text: str) -> bool:
        """Whether a stand-in is anywhere in this text."""
        return any(head in text for head in self._heads)

    def size(self, message: bytes) -> int:
        """The length of `restore(message)` in bytes."""
        size = len(message)
        for match in self._stand_ins.finditer(message):
            attachment = self._numbered(match.group(2))
            if attachment is not None:
                size -= match.end() - match.start()
                size += attachment.size if match.group(1) else -(-attachment.size // 3) * 4
        return size

    def contents(self, attachment: Attachment) -> Iterator[bytes]:
        at, end = attachment.start, attachment.start + attachment.size
        while at < end:
            self._file.seek(at)
            part = self._file.read(min(CHUNK * 3, end - at))
            if not part:
                raise EOFError("the spool is shorter than what was put into it")
            at += len(part)
            yield part

    def add(self, pieces: Iterable[bytes]) -> int:
        """Puts contents into the spool as they are; returns their number."""
        start, size, sha256 = self._file.seek(0, 2), 0, hashlib.sha256()
        for piece in pieces:
            self._file.write(piece)
            sha256.update(piece)
            size += len(piece)
        self.attachments.append(Attachment(start, size, sha256.digest()))
        return len(self.attachments) - 1

    def writer(self) -> _Writer:
        return _Writer(self._file)

    def restore(self, message: bytes) -> Iterator[bytes]:
        """The message to send: each stand-in replaced by its contents, in base64 unless it is a raw one."""
        at = 0
        for match in self._stand_ins.finditer(message):
            attachment = self._numbered(match.group(2))
            if attachment is None:
                continue
            yield message[at : match.start()]
            for part in self.contents(attachment):  # a multiple of three bytes, except the last
                yield part if match.group(1) else binascii.b2a_base64(part, newline=False)
            at = match.end()
        yield message[at:]


class _Writer:
    """Decodes base64 in pieces; `done` returns None if it was incomplete."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._start = file.seek(0, 2)
        self._left = b""
        self._ended = False
        self._size = 0
        self._hash = hashlib.sha256()

    def add(self, text: bytes) -> bool:
        """False if the text is not base64; no further text may be added then."""
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
        if padded and binascii.b2a_base64(binascii.a2b_base64(text[-4:]), newline=False) != text[-4:]:
            return False  # bits after the last octet: `restore` would not give this text
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
    """Range of the lifted contents in the source, and their number."""

    start: int
    end: int
    number: int


class _Text:
    """One text that may be large base64: buffered up to `LIFT`, then spooled."""

    __slots__ = ("_kept", "_length", "_spool", "_writer", "whole")

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._kept: list[bytes] = []
        self._length = 0
        self._writer: _Writer | None = None
        self.whole = True  # only base64 so far

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
        """Not large base64: the text stays in the message."""
        self.whole = False
        self._kept = []
        if self._writer is not None:
            self._writer.undo()
            self._writer = None

    def end(self) -> int | None:
        """The number of its attachment; None if it did not become one."""
        if self._writer is None:
            return None
        attachment = self._writer.done()
        if attachment is None:
            self.drop()
            return None
        self._spool.attachments.append(attachment)
        return len(self._spool.attachments) - 1


def lift_xml(source: File, spool: Spool, limit: int) -> bytes:
    """The document with stand-ins for its large base64 texts.

    A document that is not well-formed, or not in UTF-8, is returned unchanged for the parser to judge.
    `xml.too-large` if the result is longer than `limit` bytes.
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


def _inside(source: File, lift: _Lift) -> _Lift | None:
    """The lift without the element's start tag.

    None for a tag of more than `CHUNK` bytes: its contents stay in the message.
    """
    source.seek(lift.start)
    tag = _START_TAG.match(source.read(CHUNK))
    return None if tag is None else lift._replace(start=lift.start + tag.end())


def lift_json(source: File, spool: Spool, limit: int) -> bytes:
    """As `lift_xml`, for JSON strings without an escape. Faults in the text are left to its parser."""
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
            if not text.whole:  # One pass over each byte: a search for the quote after each escape would be quadratic.
                plain = _STRING_REST.match(part, at)
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


def _rest(source: File, lifts: list[_Lift], spool: Spool, limit: int) -> bytes:
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


def stand_ins_in(
    message: object, spool: Spool, seen: Callable[[Place, Attachment | None], None], at: Place = ()
) -> None:
    """Calls `seen` with the path and attachment of each stand-in in a canonical message.

    The attachment is None for a text that holds more than one stand-in alone.
    """
    if isinstance(message, str):
        attachment = spool.attachment_of(message)
        if attachment is not None or spool.mentions(message):
            seen(at, attachment)
    elif isinstance(message, dict):
        for name, value in message.items():
            stand_ins_in(value, spool, seen, (*at, name))
    elif isinstance(message, list):
        for number, value in enumerate(message):
            stand_ins_in(value, spool, seen, (*at, number))
