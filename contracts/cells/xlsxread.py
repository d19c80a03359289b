"""Reading one sheet of an XLSX workbook (ECMA-376 part 1) row by row, as what it is: a zip of XML from a stranger.

Refused: macros, links to other workbooks, encryption, a DOCTYPE in any part, parts that unpack to more than is allowed. Formulas are never
evaluated; a cell that holds one is refused, since its stored result is somebody else's arithmetic.
A numeric cell is a binary double. It is read as the shortest decimal that names that double (what a person typed, up to 15 digits); a whole
number from 2^53 on, which a double cannot tell from its neighbour, is refused. A number is a date where its format says so.
Invariant: memory is bounded by the limits here, whatever the file claims of itself.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from posixpath import join, normpath
from typing import Any, Final

from lxml import etree

from contracts.cells.grid import MAX_COLUMNS, Cell, Layout, Row, Rows, Typed, Unreadable

MAX_PARTS: Final = 1_000
MAX_PART: Final = 200_000_000  # bytes that one part may unpack to
MAX_UNSEEN: Final = 10_000_000  # bytes of a part between two elements that are looked at: what may become a tree at once
MAX_STRINGS: Final = 50_000_000  # characters of shared texts held at once
_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT: Final = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"
_TYPE: Final = re.compile(r"/relationships/(?:officeDocument|worksheet|sharedStrings|styles)$")
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
_LITERAL: Final = re.compile(r'"[^"]*"|\\.|_.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.I)
_DATE_FORMATS: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_EPOCH: Final = datetime(1899, 12, 30)
_NO_XLSX: Final = "an XLSX workbook"


def read(raw: bytes, layout: Layout) -> Rows:
    """The rows from the header on. `Unreadable` for what cannot be read as a whole."""
    try:
        book = zipfile.ZipFile(io.BytesIO(raw))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise Unreadable("no zip archive", _NO_XLSX) from None
    with book:
        _check_parts(book)
        yield from _Workbook(book).rows(layout)


def _check_parts(book: zipfile.ZipFile) -> None:
    parts = book.infolist()
    if len(parts) > MAX_PARTS or len({part.filename.lower() for part in parts}) < len(parts):
        raise Unreadable("too many parts, or one twice", _NO_XLSX)
    for part in parts:
        name = part.filename.lower()
        if "vbaproject" in name or "/externallinks/" in name:
            raise Unreadable("macros, or links to other workbooks", "a workbook of plain values, saved as .xlsx")
        if part.flag_bits & 1:
            raise Unreadable("an encrypted workbook", "a workbook without a password")


class _Bounded(io.RawIOBase):
    """A part of the zip that may not unpack to more than is allowed, whatever size it claims. `seen()` after each element."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._left, self._unseen = inner, MAX_PART, 0

    def seen(self) -> None:
        self._unseen = 0

    def read(self, size: int = -1) -> bytes:
        try:
            data: bytes = self._inner.read(65_536 if size < 0 else size)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError):
            raise Unreadable("a damaged part", _NO_XLSX) from None
        self._left -= len(data)
        self._unseen += len(data)
        if self._left < 0 or self._unseen > MAX_UNSEEN:
            raise Unreadable("a part that unpacks to too much", f"parts of at most {MAX_PART} bytes")
        return data


class _Workbook:
    def __init__(self, book: zipfile.ZipFile) -> None:
        self._book = book
        root = self._related("_rels/.rels", "").get("officeDocument")
        if not root:
            raise Unreadable("no workbook in it", _NO_XLSX)
        self._main = root[0][1]
        folder, _, name = self._main.rpartition("/")
        self._parts = self._related(f"{folder}/_rels/{name}.rels".lstrip("/"), folder)
        self._sheets, self._days = self._outline()
        self._texts: list[str] = []
        self._dates: list[bool] = []

    def rows(self, layout: Layout) -> Rows:
        names = list(self._sheets)
        wanted = layout.sheet if layout.sheet is not None else names[0] if names else None
        if wanted is None or wanted not in self._sheets:
            raise Unreadable(f"the sheets {', '.join(names[:8])[:200]}", f"a sheet {wanted}" if wanted else "at least one sheet")
        part = dict(self._parts.get("worksheet", [])).get(self._sheets[wanted])
        if part is None:
            raise Unreadable("a sheet that is no worksheet", "a sheet of cells")
        self._texts = list(self._shared())
        self._dates = self._styles()
        return self._sheet(part, layout)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _events(self, part: str, *tags: str) -> Iterator[tuple[str, Any]]:
        """(local name, element) of each element of these names as it ends; emptied after use."""
        try:
            inner = self._book.open(part)
        except (KeyError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
            raise Unreadable(f"no part {part[:80]}", _NO_XLSX) from None
        wanted = [space + tag for tag in tags for space in (_MAIN, _STRICT)] if tags else None
        with inner:
            bounded = _Bounded(inner)
            try:
                found = etree.iterparse(
                    bounded, events=("end",), tag=wanted, resolve_entities=False, no_network=True, load_dtd=False,
                    remove_comments=True, remove_pis=True, huge_tree=False,
                )  # fmt: skip
                checked = False
                for _, element in found:
                    if not checked and element.getroottree().docinfo.doctype:
                        raise Unreadable("a DOCTYPE", "XML without one")
                    checked = True
                    bounded.seen()
                    yield (
                        element.tag.rpartition("}")[2],
                        element,
                    )  # QName raises for a broken namespace, which the parser tells only at the end
                    element.clear()
                    while element.getprevious() is not None:
                        del element.getparent()[0]
            except etree.XMLSyntaxError:
                raise Unreadable(f"the part {part[:80]} is no XML", _NO_XLSX) from None

    def _related(self, part: str, folder: str) -> dict[str, list[tuple[str, str]]]:
        """Kind of relationship -> (id, part)."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name, element in self._events(part):
            kind = element.get("Type", "")
            if name == "Relationship" and _TYPE.search(kind) is not None and element.get("TargetMode") != "External":
                target = element.get("Target", "")
                inside = normpath(target.lstrip("/") if target.startswith("/") else join(folder, target))
                found.setdefault(kind.rpartition("/")[2], []).append((element.get("Id", ""), inside))
        return found

    def _outline(self) -> tuple[dict[str, str], int]:
        """Name of each sheet -> its relationship; and the days that the year-1904 calendar adds to a serial number."""
        sheets: dict[str, str] = {}
        days = 0
        for name, element in self._events(self._main, "sheet", "workbookPr"):
            if name == "workbookPr":
                days = 1462 if element.get("date1904") in ("1", "true") else 0
            else:
                key = next((value for at, value in element.items() if at.endswith("}id")), "")
                sheets[element.get("name", "")] = key
        return sheets, days

    def _shared(self) -> Iterator[str]:
        held = 0
        for _, part in self._parts.get("sharedStrings", []):
            for _name, element in self._events(part, "si"):
                text = _text(element)
                held += len(text)
                if held > MAX_STRINGS:
                    raise Unreadable("too much text", f"at most {MAX_STRINGS} characters of shared text")
                yield text

    def _styles(self) -> list[bool]:
        """For each cell style: whether it shows a number as a date."""
        own: dict[str, bool] = {}
        styles: list[bool] = []
        for _, part in self._parts.get("styles", []):
            for name, element in self._events(part, "numFmt", "cellXfs"):
                if name == "numFmt" and element.getparent().tag.endswith("}numFmts"):
                    own[element.get("numFmtId", "")] = _is_date(element.get("formatCode", ""))
                elif name == "cellXfs":
                    for each in element:
                        number = each.get("numFmtId", "0")
                        styles.append(own[number] if number in own else number.isdigit() and int(number) in _DATE_FORMATS)
        return styles

    # --- cells --------------------------------------------------------------------------------------------------------

    def _sheet(self, part: str, layout: Layout) -> Rows:
        number = 0
        for name, element in self._events(part, "row", "mergeCell"):
            if name == "mergeCell":
                self._check_merged(element.get("ref", ""), layout)
                continue
            stated = element.get("r", str(number + 1))
            if not stated.isdigit() or len(stated) > 7 or int(stated) <= number:
                raise Unreadable("rows out of order", "rows from top to bottom", number)
            number = int(stated)
            if number >= layout.header_row:
                yield Row(number, self._cells(element, number))

    def _check_merged(self, reference: str, layout: Layout) -> None:
        last = _REFERENCE.fullmatch(reference.rpartition(":")[2].replace("$", ""))
        if last is None or int(last[2]) >= layout.header_row:
            raise Unreadable(f"merged cells ({reference[:20]})", "a cell of its own for each value", int(last[2]) if last else 0)

    def _cells(self, row: Any, number: int) -> list[Cell]:
        cells: list[Cell] = []
        for each in row:
            if not each.tag.endswith("}c"):
                continue
            at = len(cells)
            if (reference := each.get("r")) is not None:
                match = _REFERENCE.fullmatch(reference)
                if match is None or int(match[2]) != number or (at := _index(match[1])) < len(cells):
                    raise Unreadable("cells out of order", "cells from left to right", number)
            if at >= MAX_COLUMNS:
                cell = self._cell(each)
                if cell != "":
                    raise Unreadable(f"a cell in column {at + 1}", f"at most {MAX_COLUMNS} columns", number)
                continue
            cells.extend([""] * (at - len(cells)))
            cells.append(self._cell(each))
        return cells

    def _cell(self, element: Any) -> Cell:
        kind, value, inline = element.get("t", "n"), None, ""
        for part in element:
            tag = part.tag.rpartition("}")[2]
            if tag == "f":
                return Typed("refused", "a value instead of a formula (copy, then paste as values)")
            if tag == "v":
                value = part.text or ""
            elif tag == "is":
                inline = _text(part)
        if kind == "inlineStr":
            return inline
        if value is None or value == "":
            return ""
        if kind == "s":
            if not value.isdigit() or len(value) > 9 or int(value) >= len(self._texts):
                return Typed("refused", "a text that is in the workbook")
            return self._texts[int(value)]
        if kind == "str":
            return _unescaped(value)
        if kind == "b":
            return Typed("boolean", value in ("1", "true"))
        if kind == "d":
            return _iso_date(value)
        if kind == "n":
            style = element.get("s", "0")
            dated = style.isdigit() and int(style) < len(self._dates) and self._dates[int(style)]
            return _dated(value, self._days) if dated else _number(value)
        return Typed("refused", "a value instead of an error of the spreadsheet")


def _text(element: Any) -> str:
    """The text of `si` or `is`: its runs, without phonetic hints."""
    return "".join(
        _unescaped(each.text or "")
        for each in element.iter(_MAIN + "t", _STRICT + "t")
        if not each.getparent().tag.endswith("}rPh")
    )  # fmt: skip


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _index(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _number(text: str) -> Typed:
    try:
        stated = Decimal(text)
        double = float(text)
    except (InvalidOperation, ValueError):
        return Typed("refused", "a number")
    if not stated.is_finite() or abs(double) == float("inf"):
        return Typed("refused", "a number")
    if len("".join(map(str, stated.as_tuple().digits)).rstrip("0")) > 17:
        return Typed("refused", "a text cell, for a number of more than 15 digits")
    value = Decimal(repr(double))
    if value == value.to_integral_value():
        if abs(value) >= 2**53:
            return Typed("refused", "a text cell, for a whole number of more than 15 digits")
        value = Decimal(int(value))
    return Typed("number", value)


def _dated(text: str, days: int) -> Typed:
    """A serial number of days, to the second. The first two months of 1900 are refused: Excel counts a day there that never was."""
    try:
        serial = Decimal(text) + days
        if not serial.is_finite() or not 61 <= serial < 2_958_466:
            raise ValueError
        return Typed("date", _EPOCH + timedelta(seconds=int((serial * 86_400).to_integral_value())))
    except (ArithmeticError, ValueError):
        return Typed("refused", "a date from 1900-03-01 to 9999-12-31")


def _iso_date(text: str) -> Typed:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    return Typed("refused", "a date of ISO 8601 without a zone") if at is None or at.tzinfo is not None else Typed("date", at)


def _is_date(code: str) -> bool:
    """Whether a number format shows a date: letters of dates and times outside quotes, escapes, and colours."""
    return re.search("[dmyhs]", _LITERAL.sub("", code), re.I) is not None
