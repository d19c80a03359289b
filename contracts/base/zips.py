"""Opens zip archives of strangers (APPNOTE.TXT): checks the directory before anything is unpacked.

Refused: more parts than the caller's bound, two names that differ in case alone, encryption, and compression other than
deflate. Invariant: the cost is bounded by the archive's length and by the bounds of the caller, whatever it declares.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from typing import Final

MANY: Final = "too many parts, or one twice"
ENCRYPTED: Final = "an encrypted archive"
# Raised by zipfile for damaged archives.
DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
_ENTRY: Final = b"PK\x01\x02"  # an entry of the central directory (APPNOTE.TXT 4.3.12)


class Refused(Exception):
    """An archive that is not read; its text says what it is instead."""


def open_zip(raw: bytes, most: int) -> zipfile.ZipFile:
    """The archive with at most `most` parts. Raises `Refused`."""
    if raw.count(_ENTRY) > most:  # before the directory is read: each entry costs far more than its bytes
        raise Refused(MANY)
    try:
        book = zipfile.ZipFile(io.BytesIO(raw))
    except DAMAGED:
        raise Refused("no zip archive") from None
    parts = book.infolist()
    if len(parts) > most or len({part.filename.lower() for part in parts}) < len(parts):
        raise Refused(MANY)
    for part in parts:
        if part.flag_bits & 1:
            raise Refused(ENCRYPTED)
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused("a part that is packed in another way than by deflate")
    return book


def is_plain(part: zipfile.ZipInfo) -> bool:
    """Whether a part is a file, by the mode that its maker gave: no link and no device."""
    mode = part.external_attr >> 16
    return not stat.S_IFMT(mode) or stat.S_ISREG(mode)


def unpack(book: zipfile.ZipFile, part: zipfile.ZipInfo, most: int) -> bytes:
    """The bytes of a part, whatever size it declares. Raises `Refused` for more than `most`, and for a damaged one."""
    try:
        with book.open(part) as opened:
            raw = opened.read(most + 1)
            if len(raw) <= most:
                opened.read(1)  # the end of the part, where its checksum is compared
    except DAMAGED:
        raise Refused("a damaged part") from None
    if len(raw) > most:
        raise Refused("a part that unpacks to too much")
    return raw
