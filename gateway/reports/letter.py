"""Writes a report as DOCX from the template `report.docx`, which an office may edit with a word processor."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from html import escape
from pathlib import Path
from typing import Any, Final

import segno
from docx.shared import Mm
from docxtpl import DocxTemplate, InlineImage

from gateway.reports.archive import restamped
from gateway.reports.content import Cell, Content, ShownChart, ShownTable, parts
from gateway.reports.pdf import picture

_TEMPLATE: Final = Path(__file__).with_name("report.docx")
_TWIPS: Final = 9240  # the width of the text on the page: 163 mm
_FIRST: Final = 454  # of the column of numbers: 8 mm
_MARGIN: Final = 60  # of a cell, left and right
_PROPERTY: Final = 255  # characters of a property, by python-docx
_FRAME: Final = (
    f'<w:tblPr><w:tblW w:w="{_TWIPS}" w:type="dxa"/><w:tblBorders>'
    + "".join(
        f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="000000"/>'
        for side in ("top", "left", "bottom", "right", "insideH", "insideV")
    )
    + '</w:tblBorders><w:tblLayout w:type="fixed"/>'
    f'<w:tblCellMar><w:left w:w="{_MARGIN}" w:type="dxa"/><w:right w:w="{_MARGIN}" w:type="dxa"/></w:tblCellMar>'
    "</w:tblPr>"
)


def write(content: Content) -> bytes:
    """The bytes follow from the content alone."""
    template = DocxTemplate(str(_TEMPLATE))
    template.render(_values(content, template), autoescape=True)
    at = datetime.fromtimestamp(int(content.report.made), UTC)
    about = template.docx.core_properties
    issuer = content.issuer[:_PROPERTY]
    about.title, about.author, about.last_modified_by = content.subject[:_PROPERTY], issuer, issuer
    about.created = about.modified = at.replace(tzinfo=None)
    about.language, about.revision = content.language, 1
    written = io.BytesIO()
    template.save(written)
    return restamped(written.getvalue(), content.report.made)


def _values(content: Content, template: DocxTemplate) -> dict[str, Any]:
    def image(data: bytes, width: int) -> InlineImage:
        return InlineImage(template, io.BytesIO(data), width=Mm(width))

    def chart(each: ShownChart) -> dict[str, Any]:
        return {"title": each.title, "image": image(picture(each.svg), 155)}

    values = parts(content, lambda each: _table(content, each), chart, image(_code(content), 36))
    values["annex"]["facts"] = [f"{label}: {value}" for label, value in values["annex"]["facts"]]
    return values


class _Xml(str):
    """WordprocessingML (ECMA-376) that is put in as it is."""

    def __html__(self) -> str:
        return self


def _table(content: Content, table: ShownTable) -> dict[str, Any]:
    """Its head stands on each page; no row is broken across pages. The total is on the page of the row before it."""
    weights = [each.weight for each in table.heads[1:]]
    widths = [_FIRST, *(round((_TWIPS - _FIRST) * each / sum(weights)) for each in weights)]
    aligns = ["right" if each.numeric else "left" for each in table.heads]

    def row(cells: Sequence[Cell], kind: _Row = _Row.PLAIN) -> str:
        texts = ("" if cell is None and kind is _Row.TOTAL else content.said(cell) for cell in cells)
        return _row(zip(texts, widths, aligns, strict=True), kind)

    head = _row(((each.title, width, "center") for each, width in zip(table.heads, widths, strict=True)), _Row.HEAD)
    rows = [row(each) for each in table.rows]
    if table.total is not None and rows:
        rows[-1:] = [row(table.rows[-1], _Row.LAST), row(table.total, _Row.TOTAL)]
    columns = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
    grid = f"<w:tblGrid>{columns}</w:tblGrid>"
    return {"title": table.title, "xml": _Xml(f"<w:tbl>{_FRAME}{grid}{head}{''.join(rows)}</w:tbl>") if rows else ""}


class _Row(Enum):
    PLAIN = auto()
    HEAD = auto()
    LAST = auto()  # before the total
    TOTAL = auto()


def _row(cells: Iterable[tuple[str, int, str]], kind: _Row) -> str:
    about = f"<w:trPr><w:cantSplit/>{'<w:tblHeader/>' if kind is _Row.HEAD else ''}</w:trPr>"
    keep = "<w:keepNext/>" if kind in (_Row.HEAD, _Row.LAST) else ""
    weight = "<w:b/>" if kind in (_Row.HEAD, _Row.TOTAL) else ""
    made = (
        f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/><w:vAlign w:val="center"/></w:tcPr>'
        f'<w:p><w:pPr><w:pStyle w:val="Cell"/>{keep}<w:jc w:val="{align}"/></w:pPr>'
        f'<w:r><w:rPr>{weight}</w:rPr><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p></w:tc>'
        for text, width, align in cells
    )
    return f"<w:tr>{about}{''.join(made)}</w:tr>"


def _code(content: Content) -> bytes:
    written = io.BytesIO()
    segno.make(content.report.proof, error="m").save(written, kind="png", scale=8, border=2)
    return written.getvalue()
