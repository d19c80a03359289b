"""Writes one sheet as an XLSX workbook (ECMA-376 part 1) with the fewest parts; equal rows give equal bytes.

Texts are inline texts, so nothing is run as a formula. A number is a
numeric cell if a double is exact for it, else text.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import IO, Final
from xml.sax.saxutils import escape, quoteattr

from contracts.mapping.grid import Cell, Typed
from contracts.mapping.value_formats import plain

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_RELATIONSHIPS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
_TO_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")


def write(rows: Iterable[Sequence[Cell]], sheet: str, header_row: int) -> bytes:
    """The workbook with one sheet; the first row is row `header_row`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        part = begin(book, sheet)
        for number, row in enumerate(rows, header_row):
            put_row(part, row, number)
        end(part)
    return out.getvalue()


def begin(book: zipfile.ZipFile, sheet: str) -> IO[bytes]:
    """Writes all parts but the sheet; returns the sheet, whose rows `put_row` takes, for one after another."""
    for name, text in _frame(sheet).items():
        book.writestr(zipfile.ZipInfo(name, _MOMENT), _HEAD + text, zipfile.ZIP_DEFLATED)
    info = zipfile.ZipInfo("xl/worksheets/sheet1.xml", _MOMENT)
    info.compress_type = zipfile.ZIP_DEFLATED
    part = book.open(info, "w", force_zip64=True)
    part.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
    return part


def put_row(part: IO[bytes], row: Sequence[Cell], number: int) -> None:
    cells = "".join(_cell(cell, f"{letters(at)}{number}") for at, cell in enumerate(row) if cell != "")
    part.write(f'<row r="{number}">{cells}</row>'.encode("utf-8", "replace"))


def end(part: IO[bytes]) -> None:
    """Ends the sheet."""
    part.write(b"</sheetData></worksheet>")
    part.close()


def number_cell(text: str) -> Cell:
    """A numeric cell for digits that a double represents exactly; else the text itself."""
    exact = Decimal(text)
    shortest = Decimal(repr(float(exact)))
    if abs(exact) >= 2**53 or shortest != exact:
        return text
    return Typed("number", Decimal(int(exact)) if exact == exact.to_integral_value() else shortest)


def letters(index: int) -> str:
    """Column 0 as A, 26 as AA."""
    name, index = "", index + 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(65 + rest) + name
    return name


def _cell(cell: Cell, reference: str) -> str:
    if isinstance(cell, str):
        text = escape(_TO_ESCAPE.sub("_x005F_", cell), {"\r": "_x000D_"})
        return f'<c r="{reference}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    if isinstance(cell.value, bool):
        return f'<c r="{reference}" t="b"><v>{int(cell.value)}</v></c>'
    assert isinstance(cell.value, Decimal)
    return f'<c r="{reference}"><v>{plain(cell.value)}</v></c>'


def _frame(sheet: str) -> dict[str, str]:
    """All parts except the sheet."""
    return {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_RELATIONSHIPS}">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        f'<sheet name={quoteattr(sheet)} sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_RELATIONSHIPS}">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    }
