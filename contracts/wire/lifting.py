"""Finds large base64 contents in XML and JSON by one linear scan, and moves them into a spool (`attachments`).

A text of XML or a JSON string that is base64 and longer than `LIFT` is decoded into the spool; a stand-in replaces it.
Invariant: a DOCTYPE is rejected here too (`xml.doctype`). Other faults are left to the real parsers.
"""

from __future__ import annotations

import re
import xml.parsers.expat as expat
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from contracts.errors import XML_DOCTYPE, XML_TOO_LARGE
from contracts.wire.attachments import CHUNK, File, Spool, Writer
from contracts.wire.base64_lines import lines_of

LIFT: Final = 65_536  # characters of base64; shorter contents stay in the message
_SPACE: Final = b" \t\r\n"
_START_TAG: Final = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*>""")
# A JSON string up to its closing quote; a trailing backslash is not consumed.
_STRING_REST: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


class _Lift(NamedTuple):
    """Range of the lifted contents in the source, and their number."""

    start: int
    end: int
    number: int
    lined: bool = False


class _Text:
    """One text that may be large base64: buffered up to `LIFT`, then spooled."""

    __slots__ = ("_kept", "_length", "_spool", "_writer", "whole")

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._kept: list[bytes] = []
        self._length = 0
        self._writer: Writer | None = None
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


def lift_xml(source: File, spool: Spool, limit: int, *, exact: bool = False) -> bytes:
    """The document with stand-ins for its large base64 texts. `exact`: with lined ones for those with white space.

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
    inside = [each for lift in lifts if (each := _inside(source, lift)) is not None]
    return _rest(source, [_lined(source, spool, each) for each in inside] if exact else inside, spool, limit)


def _inside(source: File, lift: _Lift) -> _Lift | None:
    """The lift without the element's start tag.

    None for a tag of more than `CHUNK` bytes: its contents stay in the message.
    """
    source.seek(lift.start)
    tag = _START_TAG.match(source.read(CHUNK))
    return None if tag is None else lift._replace(start=lift.start + tag.end())


def _lined(source: File, spool: Spool, lift: _Lift) -> _Lift:
    """The lift with the white space of its text, if that can be described."""
    attachment = spool.attachments[lift.number]
    if lift.end - lift.start == -(-attachment.size // 3) * 4:
        return lift

    def pieces() -> Iterator[bytes]:
        for at in range(lift.start, lift.end, CHUNK):
            source.seek(at)
            yield source.read(min(CHUNK, lift.end - at))

    lines = lines_of(pieces())
    if lines is None:
        return lift
    spool.attachments[lift.number] = attachment._replace(lines=lines)
    return lift._replace(lined=True)


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
        stand_in = spool.lined_stand_in if lift.lined else spool.stand_in
        parts += (source.read(lift.start - at), stand_in(lift.number))
        at = lift.end
    source.seek(at)
    parts.append(source.read())
    return b"".join(parts)
