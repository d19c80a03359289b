"""Moves large base64 contents out of a message before it is parsed, and back in when it is written.

Long base64 is decoded into a spool (`lifting` finds it). A short stand-in, itself base64, replaces it in the message,
so that readers and writers need no change. Where an exact copy is wanted, base64 with white space gets a stand-in of
another kind, which `unlined` replaces after parsing.
lxml rejects texts over 10 MB, and a tree costs eight to thirteen times its bytes.
Standards: RFC 4648 §4 (white space only in XML, as xs:base64Binary allows), XML 1.0, RFC 8259.
Invariants: a stand-in holds random bytes of its message's spool, so it cannot be forged; `restore` returns every octet
in canonical base64, or with the white space that it came with.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from contracts.base.randomness import random_bytes
from contracts.wire import layers
from contracts.wire.base64_lines import Lines, as_parsed, extra, laid_out

CHUNK: Final = 262_144
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_MARK: Final = b"lgsp-attachment"
_RAW: Final = b"lgsp-attach-raw"
_LINED: Final = b"lgsp-attach-lin"
_NONCE: Final = 18


STAND_INS_BEGIN: Final = tuple(
    binascii.b2a_base64(mark, newline=False) for mark in (_MARK, _RAW, _LINED)
)  # of every spool


class File(Protocol):
    """What a spool needs of a file."""

    def read(self, length: int = -1, /) -> bytes: ...
    def write(self, data: bytes, /) -> int: ...
    def seek(self, at: int, whence: int = 0, /) -> int: ...
    def truncate(self) -> int: ...


class Attachment(NamedTuple):
    """Contents in the spool: offset and length in bytes, SHA-256; the white space of the base64 that they came in."""

    start: int
    size: int
    sha256: bytes
    lines: Lines = ()


class _Put(NamedTuple):
    """A stand-in: raw, or for base64, with its lines or without."""

    attachment: Attachment
    raw: bool
    lined: bool


class Spool:
    """The attachments of one message, in an empty file opened for reading and writing."""

    def __init__(self, file: File, nonce: bytes | None = None, attachments: Sequence[Attachment] = ()) -> None:
        """`nonce` and `attachments` are given for the file of an earlier spool."""
        self._file: Final = file
        self.nonce: Final = random_bytes(_NONCE) if nonce is None else nonce
        self.attachments: Final[list[Attachment]] = list(attachments)
        heads = [binascii.b2a_base64(mark + self.nonce, newline=False) for mark in (_MARK, _RAW, _LINED)]
        self._heads: Final = [head.decode("ascii") for head in heads]
        coded, raw, lined = (re.escape(head) for head in heads)
        self._stand_in: Final = re.compile(coded + rb"([A-Za-z0-9+/]{4})")
        self._lined: Final = re.compile(lined + rb"([A-Za-z0-9+/]{4})")
        self.marks: Final = layers.Marks(self.nonce)
        stand_ins = rb"(?:(?P<raw>%b)|(?P<lined>%b)|%b)(?P<number>[A-Za-z0-9+/]{4})" % (raw, lined, coded)
        self._tokens: Final = re.compile(stand_ins + b"|" + self.marks.pattern)

    def stand_in(self, number: int) -> bytes:
        return binascii.b2a_base64(_MARK + self.nonce + number.to_bytes(3, "big"), newline=False)

    def raw_stand_in(self, number: int) -> bytes:
        """For contents that travel as they are, not in base64."""
        return binascii.b2a_base64(_RAW + self.nonce + number.to_bytes(3, "big"), newline=False)

    def lined_stand_in(self, number: int) -> bytes:
        """For base64 with the white space that the attachment describes."""
        return binascii.b2a_base64(_LINED + self.nonce + number.to_bytes(3, "big"), newline=False)

    def unlined(self, text: str) -> str:
        """The usual stand-in for the text of a lined one; any other text as it is."""
        match = self._lined.fullmatch(text.encode("utf-8", "replace")) if self._heads[2] in text else None
        if match is None or self._numbered(match.group(1)) is None:
            return text
        return self.stand_in(int.from_bytes(binascii.a2b_base64(match.group(1)), "big")).decode("ascii")

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

        def sizes() -> Iterator[int | layers.Layer | None]:
            for part in self._parts(message):
                if isinstance(part, _Put):
                    lined = extra(part.attachment.lines) if part.lined else 0
                    yield part.attachment.size if part.raw else -(-part.attachment.size // 3) * 4 + lined
                else:
                    yield len(part) if isinstance(part, bytes) else part

        return layers.total(sizes())

    def _parts(self, message: bytes) -> Iterator[bytes | _Put | layers.Layer | None]:
        """The texts, stand-ins and layers of a message, in order. None: a layer ends."""
        at = 0
        for match in self._tokens.finditer(message):
            raw, lined, number = match.group("raw", "lined", "number")
            if number is None:
                yield message[at : match.start()]
                yield layers.begun(match)
            else:
                attachment = self._numbered(number)
                if attachment is None:
                    continue
                yield message[at : match.start()]
                yield _Put(attachment, raw is not None, lined is not None)
            at = match.end()
        yield message[at:]

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

    def writer(self) -> Writer:
        return Writer(self._file)

    def restore(self, message: bytes, *, parsed: bool = False) -> Iterator[bytes]:
        """The message to send: each stand-in replaced by its contents, in base64 unless it is a raw one, and each
        layer written. `parsed`: with the ends of lines that an XML parser gives.
        """

        def pieces() -> Iterator[bytes | layers.Layer | None]:
            for part in self._parts(message):
                if isinstance(part, _Put):
                    yield from self._put(part, parsed)
                else:
                    yield part

        return layers.written(pieces())

    def _put(self, put: _Put, parsed: bool) -> Iterator[bytes]:
        contents = self.contents(put.attachment)  # a multiple of three bytes, except the last
        if put.raw:
            return contents
        coded = (binascii.b2a_base64(part, newline=False) for part in contents)
        lines = put.attachment.lines
        return laid_out(coded, as_parsed(lines) if parsed else lines) if put.lined else coded


class Writer:
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
