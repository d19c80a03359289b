"""Opens the parts of an XLSX workbook (ECMA-376 parts 1 and 2), an untrusted zip archive of XML.

Rejected: macros, links to other workbooks, encryption, a DOCTYPE in any part, compression methods outside the standard,
and more of anything than the bounds below. Each bound is checked before the data is kept.
Invariant: `Budget` bounds the cost of reading a workbook, whatever the file declares.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from contracts.base.zips import DAMAGED, ENCRYPTED, Refused, open_zip
from contracts.mapping.grid import Unreadable

MAX_PARTS: Final = 1_000
MAX_UNPACKED: Final = 200_000_000  # bytes of all parts that are read, unpacked
MAX_TAGS: Final = 12_000_000  # in all parts that are read
MAX_UNSEEN: Final = 10_000_000  # bytes of a part between two processed elements: the largest tree at once
MAX_NAME: Final = 1_000  # characters of a name, an id, or a target
MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
STRICT: Final = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"
NO_XLSX: Final = "an XLSX workbook"


def open_book(raw: bytes) -> zipfile.ZipFile:
    """The archive, its directory checked. `Unreadable` for an invalid or rejected one."""
    try:
        book = open_zip(raw, MAX_PARTS)
    except Refused as fault:
        if (why := str(fault)) == ENCRYPTED:
            raise Unreadable("an encrypted workbook", "a workbook without a password") from None
        raise Unreadable(why, NO_XLSX) from None
    for name in (part.filename.lower() for part in book.infolist()):
        if "vbaproject" in name or "/externallinks/" in name:
            raise Unreadable("macros, or links to other workbooks", "a workbook of plain values, saved as .xlsx")
    return book


class Budget:
    """The bytes and tags that reading one workbook may still unpack."""

    def __init__(self) -> None:
        self._bytes, self._tags = MAX_UNPACKED, MAX_TAGS

    def spend(self, data: bytes) -> None:
        self._bytes -= len(data)
        self._tags -= data.count(b"<")
        if self._bytes < 0:
            raise Unreadable("a part that unpacks to too much", f"parts of at most {MAX_UNPACKED} bytes together")
        if self._tags < 0:
            raise Unreadable("too many tags", f"at most {MAX_TAGS} tags")


class _Bounded(io.RawIOBase):
    """A part of the zip, limited in unpacked size, whatever it declares. Call `seen()` after each element."""

    def __init__(self, inner: Any, budget: Budget) -> None:
        self._inner, self._budget, self._unseen = inner, budget, 0

    def seen(self) -> None:
        self._unseen = 0

    def read(self, size: int = -1) -> bytes:
        try:
            data: bytes = self._inner.read(65_536 if size < 0 else size)
        except DAMAGED:
            raise Unreadable("a damaged part", NO_XLSX) from None
        self._unseen += len(data)
        if self._unseen > MAX_UNSEEN:
            raise Unreadable("a part that unpacks to too much", f"parts of at most {MAX_UNPACKED} bytes together")
        self._budget.spend(data)
        return data


def elements(book: zipfile.ZipFile, part: str, budget: Budget, *tags: str) -> Iterator[tuple[str, Any]]:
    """(local name, element) of each element of these names at its end; cleared after use."""
    try:
        inner = book.open(part)
    except (KeyError, *DAMAGED):
        raise Unreadable(f"no part {part[:80]}", NO_XLSX) from None
    wanted = [space + tag for tag in tags for space in (MAIN, STRICT)] if tags else None
    with inner:
        bounded = _Bounded(inner, budget)
        try:
            parsed = etree.iterparse(
                bounded, events=("end",), tag=wanted, resolve_entities=False, no_network=True, load_dtd=False,
                remove_comments=True, remove_pis=True, huge_tree=False,
            )  # fmt: skip
            checked = False
            for _, element in parsed:
                if not checked and element.getroottree().docinfo.doctype:
                    raise Unreadable("a DOCTYPE", "XML without one")
                checked = True
                bounded.seen()
                # QName raises for a broken namespace, which the parser reports only at the end
                yield element.tag.rpartition("}")[2], element
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
        except etree.XMLSyntaxError:
            raise Unreadable(f"the part {part[:80]} is no XML", NO_XLSX) from None
