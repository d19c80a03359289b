"""Reads one sheet of an XLSX workbook (ECMA-376 part 1) row by row. `xlsxparts` opens it.

Rejected: more relationships, sheets, styles, texts, rows or cells than the bounds below. Formulas are never evaluated;
a cell with one is rejected, since its stored result cannot be checked.
A numeric cell is a binary double, read as the shortest decimal that denotes it (as typed, up to 15 digits). A whole
number from 2^53 on is rejected, since a double is not exact there. A number is a date or a percentage where its format
says so.
Invariant: memory is bounded by these limits, whatever the file declares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from posixpath import join, normpath
from typing import Any, Final, Literal
from zipfile import ZipFile

from contracts.base.integers import whole_number
from contracts.codecs.cells.hidden import Hidden
from contracts.codecs.cells.xlsxparts import MAIN, MAX_NAME, NO_XLSX, STRICT, Budget, elements, open_book
from contracts.codecs.cells.xlsxwrite import letters
from contracts.mapping.grid import MAX_COLUMNS, MAX_ROWS, Cell, Layout, Row, Rows, Typed, Unreadable

MAX_STRINGS: Final = 50_000_000  # characters of all shared texts
MAX_TEXTS: Final = 1_000_000  # shared texts
MAX_CELLS: Final = 2_000_000  # cells of a sheet, including empty ones
MAX_RELATIONSHIPS: Final = 1_000  # of one part
MAX_SHEETS: Final = 1_000
MAX_STYLES: Final = 65_536  # number formats, and cell styles
MAX_FORMAT: Final = 255  # characters of a number format (ECMA-376 part 1, 18.8.30; the same bound as Excel's)
LAST_ROW: Final = 1_048_576
LAST_COLUMN: Final = 16_384
_TRUE: Final = ("1", "true")
_MAX_NUMBER: Final = 400  # characters of a number: more than any double needs
_MAX_DATE: Final = 64
_LETTERS: Final = tuple(letters(at) for at in range(MAX_COLUMNS))
_TYPE: Final = re.compile(r"/relationships/(?:officeDocument|worksheet|sharedStrings|styles)$")
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
_SHORT: Final = re.compile(r"0|-?[1-9][0-9]{0,14}|-?(?:0|[1-9][0-9]{0,6})\.[0-9]{0,7}[1-9]")
_NUMBER: Final = re.compile(r"[ \t\r\n]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?[ \t\r\n]*")
_LITERAL: Final = re.compile(r'"[^"]*"|\\.|_.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.I)
_Style = Literal["number", "percent", "date"]
_DATE_FORMATS: Final = (*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59))
_BUILT_IN: Final[dict[int, _Style]] = {**dict.fromkeys(_DATE_FORMATS, "date"), 9: "percent", 10: "percent"}
_EPOCH: Final = datetime(1899, 12, 30)


def read(raw: bytes, layout: Layout, hidden: Hidden | None = None) -> Rows:
    """The rows from the header on; without a sheet in `layout`, those of the first sheet that is not hidden. `hidden`
    gets the sheets and columns that the workbook hides. `Unreadable` if the file as a whole cannot be read.
    """
    with open_book(raw) as book:
        yield from _Workbook(book, Hidden() if hidden is None else hidden).rows(layout)


class _Workbook:
    def __init__(self, book: ZipFile, hidden: Hidden) -> None:
        self._book, self._budget, self._hidden = book, Budget(), hidden
        root = self._related("_rels/.rels", "").get("officeDocument")
        if not root:
            raise Unreadable("no workbook in it", NO_XLSX)
        self._main = root[0][1]
        folder, _, name = self._main.rpartition("/")
        self._parts = self._related(f"{folder}/_rels/{name}.rels".lstrip("/"), folder)
        self._hidden_sheets: list[str] = []
        self._sheets, self._days = self._outline()
        self._texts: list[str] = []
        self._styles: list[_Style] = []

    def rows(self, layout: Layout) -> Rows:
        names = list(self._sheets)
        shown = next((name for name in names if name not in self._hidden_sheets), next(iter(names), None))
        wanted = layout.sheet if layout.sheet is not None else shown
        if wanted is None or wanted not in self._sheets:
            raise Unreadable(
                f"the sheets {', '.join(names[:8])[:200]}", f"a sheet {wanted}" if wanted else "at least one sheet"
            )
        part = dict(self._parts.get("worksheet", [])).get(self._sheets[wanted])
        if part is None:
            raise Unreadable("a sheet that is no worksheet", "a sheet of cells")
        self._hidden.name_sheets(self._hidden_sheets, wanted)
        self._texts = list(self._shared())
        self._styles = self._formats()
        return self._sheet(part, layout)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _events(self, part: str, *tags: str) -> Iterator[tuple[str, Any]]:
        return elements(self._book, part, self._budget, *tags)

    def _related(self, part: str, folder: str) -> dict[str, list[tuple[str, str]]]:
        """Kind of relationship -> (id, part)."""
        parts_by_kind: dict[str, list[tuple[str, str]]] = {}
        for count, (name, element) in enumerate(self._events(part), 1):
            if count > MAX_RELATIONSHIPS:
                raise Unreadable("too many relationships", f"at most {MAX_RELATIONSHIPS} relationships of a part")
            kind, target, id = (_name(element, each) for each in ("Type", "Target", "Id"))
            if name == "Relationship" and _TYPE.search(kind) is not None and element.get("TargetMode") != "External":
                inside = normpath(target.lstrip("/") if target.startswith("/") else join(folder, target))
                parts_by_kind.setdefault(kind.rpartition("/")[2], []).append((id, inside))
        return parts_by_kind

    def _only(self, kind: str) -> str | None:
        """The part of a kind that a workbook has at most once."""
        parts = self._parts.get(kind, [])
        if len(parts) > 1:
            raise Unreadable("too many parts, or one twice", NO_XLSX)
        return parts[0][1] if parts else None

    def _outline(self) -> tuple[dict[str, str], int]:
        """Name of each sheet -> its relationship; days that the 1904 calendar adds to a serial number."""
        sheets: dict[str, str] = {}
        days = 0
        for count, (name, element) in enumerate(self._events(self._main, "sheet", "workbookPr"), 1):
            if count > MAX_SHEETS:
                raise Unreadable("too many sheets", f"at most {MAX_SHEETS} sheets")
            if name == "workbookPr":
                days = 1462 if element.get("date1904") in _TRUE else 0
            else:
                key = next((at for at in element.keys() if at.endswith("}id")), "id")
                title = _name(element, "name")
                sheets[title] = _name(element, key)
                if element.get("state", "visible") != "visible":
                    self._hidden_sheets.append(title)
        return sheets, days

    def _shared(self) -> Iterator[str]:
        part, size = self._only("sharedStrings"), 0
        if part is None:
            return
        for count, (_, element) in enumerate(self._events(part, "si"), 1):
            text = _text(element)
            size += len(text)
            if size > MAX_STRINGS:
                raise Unreadable("too much text", f"at most {MAX_STRINGS} characters of shared text")
            if count > MAX_TEXTS:
                raise Unreadable("too many shared texts", f"at most {MAX_TEXTS} shared texts")
            yield text

    def _formats(self) -> list[_Style]:
        """For each cell style how it shows a number."""
        part, count = self._only("styles"), 0
        own: dict[int, _Style] = {}
        styles: list[_Style] = []
        for name, element in self._events(part, "numFmt", "cellXfs") if part is not None else ():
            count += 1 if name == "numFmt" else len(element)
            if count > MAX_STYLES:
                raise Unreadable("too many styles", f"at most {MAX_STYLES} styles")
            if name == "numFmt":
                above = element.getparent()
                if above is not None and above.tag.endswith("}numFmts"):  # others belong to tables and conditions
                    own[_format(element, "")] = _style(element.get("formatCode", ""))
                continue
            numbers = [_format(each, "0") for each in element]
            styles += [own[number] if number in own else _BUILT_IN.get(number, "number") for number in numbers]
        return styles

    # --- cells --------------------------------------------------------------------------------------------------------

    def _sheet(self, part: str, layout: Layout) -> Rows:
        number = count = cells = columns = 0
        for name, element in self._events(part, "row", "mergeCell", "col"):
            if name == "mergeCell":
                self._check_merged(element.get("ref", ""), layout)
                continue
            if name == "col":
                columns += 1
                if columns > LAST_COLUMN:
                    raise Unreadable("too many columns", f"at most {LAST_COLUMN} columns")
                if element.get("hidden") in _TRUE:
                    self._hidden.hide(*(whole_number(element.get(each, "")) or 0 for each in ("min", "max")))
                continue
            count, cells = count + 1, cells + len(element)
            if count > MAX_ROWS:
                raise Unreadable("too many rows", f"at most {MAX_ROWS} rows, the empty ones too", number)
            if cells > MAX_CELLS:
                raise Unreadable("too many cells", f"at most {MAX_CELLS} cells, the empty ones too", number)
            stated = whole_number(element.get("r", str(number + 1)))
            if stated is None or not number < stated <= LAST_ROW:
                raise Unreadable("rows out of order", f"rows from top to bottom, at most {LAST_ROW}", number)
            number = stated
            if number >= layout.header_row:
                yield Row(number, self._cells(element, number), element.get("hidden") in _TRUE)

    def _check_merged(self, reference: str, layout: Layout) -> None:
        last = _REFERENCE.fullmatch(reference.rpartition(":")[2].replace("$", ""))
        if last is None or int(last[2]) >= layout.header_row:
            raise Unreadable(
                f"merged cells ({reference[:20] or '-'})",
                "a cell of its own for each value",
                int(last[2]) if last else 0,
            )

    def _cells(self, row: Any, number: int) -> list[Cell]:
        cells: list[Cell] = []
        row_number = str(number)
        for each in row:
            if not each.tag.endswith("}c"):
                continue
            at = len(cells)
            reference = each.get("r")
            if reference is not None and (at >= MAX_COLUMNS or reference != _LETTERS[at] + row_number):
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
            tag = part.tag
            if tag.endswith("}v"):
                value = part.text or ""
            elif tag.endswith("}is"):
                inline = _text(part)
            elif tag.endswith("}f"):
                return Typed("refused", "a value instead of a formula (copy, then paste as values)")
        if kind == "inlineStr":
            return inline
        if value is None or value == "":
            return ""
        if kind == "s":
            at = whole_number(value)
            if at is None or at >= len(self._texts):
                return Typed("refused", "a text that is in the workbook")
            return self._texts[at]
        if kind == "str":
            return _unescaped(value)
        if kind == "b":
            return Typed("boolean", value in _TRUE)
        if kind == "d":
            return _iso_date(value)
        if kind == "n":
            style = whole_number(element.get("s", "0"))
            if style is None:
                return Typed("refused", "a cell style that is in the workbook")
            shown = self._styles[style] if style < len(self._styles) else "number"
            if shown == "date":
                return _dated(value, self._days)
            return _number(value) if shown == "number" else _percent(_number(value))
        return Typed("refused", "a value instead of an error of the spreadsheet")


def _name(element: Any, attribute: str) -> str:
    text: str = element.get(attribute, "")
    if len(text) > MAX_NAME:
        raise Unreadable("a name that is too long", f"names of at most {MAX_NAME} characters")
    return text


def _format(element: Any, default: str) -> int:
    number = whole_number(element.get("numFmtId", default))
    if number is None:
        raise Unreadable("a number format without its number", NO_XLSX)
    return number


def _text(element: Any) -> str:
    """The text of `si` or `is`: its runs, without phonetic hints."""
    if len(element) == 1 and (only := element[0]).tag.endswith("}t"):
        return _unescaped(only.text or "")
    return "".join(
        _unescaped(each.text or "")
        for each in element.iter(MAIN + "t", STRICT + "t")
        if not each.getparent().tag.endswith("}rPh")
    )  # fmt: skip


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(escape: re.Match[str]) -> str:
    """The character of an escape; the escape itself for a surrogate, which no text can contain."""
    code = int(escape[1], 16)
    return escape[0] if 0xD800 <= code <= 0xDFFF else chr(code)


def _index(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _is_number(text: str) -> bool:
    return len(text) <= _MAX_NUMBER and _NUMBER.fullmatch(text) is not None


def _number(text: str) -> Typed:
    if _SHORT.fullmatch(text) is not None:  # a double holds it
        return Typed("number", Decimal(text))
    if not _is_number(text):
        return Typed("refused", "a number")
    try:
        stated = Decimal(text)
        double = float(text)
    except (InvalidOperation, ValueError):
        return Typed("refused", "a number")
    if not stated.is_finite() or abs(double) == float("inf"):
        return Typed("refused", "a number")
    if len(text) > 17 and len("".join(map(str, stated.as_tuple().digits)).rstrip("0")) > 17:
        return Typed("refused", "a text cell, for a number of more than 15 digits")
    value = Decimal(repr(double))
    if value == value.to_integral_value():
        if abs(value) >= 2**53:
            return Typed("refused", "a text cell, for a whole number of more than 15 digits")
        value = Decimal(int(value))
    return Typed("number", value)


def _percent(number: Typed) -> Typed:
    """The number that the cell shows before its percent sign."""
    return Typed("percent", number.value.scaleb(2)) if isinstance(number.value, Decimal) else number


def _dated(text: str, days: int) -> Typed:
    """A serial number of days, to the second. Dates before 1900-03-01 are rejected: Excel counts a day too many."""
    try:
        if not _is_number(text):
            raise ValueError
        serial = Decimal(text) + days
        if not serial.is_finite() or not 61 <= serial < 2_958_466:
            raise ValueError
        return Typed("date", _EPOCH + timedelta(seconds=int((serial * 86_400).to_integral_value())))
    except (ArithmeticError, ValueError):
        return Typed("refused", "a date from 1900-03-01 to 9999-12-31")


def _iso_date(text: str) -> Typed:
    try:
        at = datetime.fromisoformat(text) if len(text) <= _MAX_DATE else None
    except ValueError:
        at = None
    return (
        Typed("refused", "a date of ISO 8601 without a zone")
        if at is None or at.tzinfo is not None
        else Typed("date", at)
    )


def _style(code: str) -> _Style:
    """How a number format shows a number: by its letters and signs outside quotes, escapes and colours."""
    if len(code) > MAX_FORMAT:  # before the patterns, whose cost is quadratic in the length
        raise Unreadable("a number format that is too long", f"number formats of at most {MAX_FORMAT} characters")
    signs = _LITERAL.sub("", code)
    return "date" if re.search("[dmyhs]", signs, re.I) is not None else "percent" if "%" in signs else "number"
