"""Writes a report as XLSX: a sheet with the document's head, one for each section, one with the sources."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import segno
import xlsxwriter

from gateway.exchange.feed_tables import XLSX_CELL
from gateway.reports.archive import restamped
from gateway.reports.content import Cell, Content, ShownSection, ShownTable
from gateway.reports.pdf import picture

_FONT: Final = "Times New Roman"
_NARROW, _WIDE, _MOST = 11, 42, 60


def write(content: Content) -> bytes:
    written, at = io.BytesIO(), content.report.made
    book = xlsxwriter.Workbook(written, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties(
        {
            "title": content.subject,
            "author": content.issuer,
            "created": datetime.fromtimestamp(int(at), UTC).replace(tzinfo=None),
        }
    )
    sheets = _Sheets(book, content)
    sheets.front()
    for section in content.sections:
        sheets.section(section)
    sheets.sources()
    book.close()
    return restamped(written.getvalue(), at)


class _Sheets:
    def __init__(self, book: Any, content: Content) -> None:
        self.book, self.content = book, content
        base = {"font_name": _FONT, "font_size": 12, "valign": "vcenter"}
        wrapped = {**base, "text_wrap": True}
        self.framed = framed = {**wrapped, "border": 1}
        number = {**framed, "align": "right", "num_format": "#,##0"}
        styles: dict[str, dict[str, Any]] = {
            "text": wrapped,
            "centre": {**wrapped, "align": "center"},
            "bold": {**wrapped, "bold": True, "align": "center"},
            "title": {**wrapped, "bold": True, "font_size": 14, "align": "center"},
            "italic": {**wrapped, "italic": True, "align": "center"},
            "caption": {**base, "bold": True},
            "head": {**framed, "bold": True, "align": "center", "bg_color": "#e7edf4"},
            "cell": framed,
            "number": number,
            "tenths": {**number, "num_format": "#,##0.0"},
            "total": {**framed, "bold": True},
            "total-number": {**number, "bold": True},
        }
        self.styles = {name: book.add_format(style) for name, style in styles.items()}

    def front(self) -> None:
        say, content, styles = self.content.say, self.content, self.styles
        sheet = self._sheet(say("sheet-report"))
        sheet.set_column(0, 5, 17)
        superior, issuer = content.heading
        lines = (
            (superior, "centre", say("nation"), "bold"),
            (issuer, "bold", say("motto"), "bold"),
            (content.number, "centre", content.dated, "italic"),
        )
        for row, (left, left_style, right, right_style) in enumerate(lines):
            sheet.merge_range(row, 0, row, 2, left, styles[left_style])
            sheet.merge_range(row, 3, row, 5, right, styles[right_style])
            sheet.set_row(row, 36 if row == 1 else 22)
        texts = [(say("title"), "title", 24), (content.subject, "title", 44), (content.opening, "text", 56)]
        for section in content.sections:
            texts += [(f"{section.number}. {section.title}", "caption", 24), (section.summary, "text", 72)]
        texts.append((say("closing", issuer=content.issuer), "text", 40))
        for row, (text, style, height) in enumerate(texts, len(lines) + 1):
            sheet.merge_range(row, 0, row, 5, text, styles[style])
            sheet.set_row(row, height)
        row = len(lines) + len(texts) + 2
        sheet.merge_range(row, 0, row, 2, "\n".join((say("recipients"), *content.recipients)), styles["text"])
        sheet.merge_range(row, 3, row, 5, content.signer, styles["bold"])
        sheet.set_row(row, 90)

    def section(self, section: ShownSection) -> None:
        sheet = self._sheet(f"{section.number}. {section.title.capitalize()}"[:31])
        row = 0
        self._widths(sheet, section.tables)
        sheet.set_landscape()
        for table in section.tables:
            row = self._table(sheet, row, table) + 1
        for chart in section.charts:
            sheet.write_string(row, 0, chart.title, self.styles["caption"])
            image = {"image_data": io.BytesIO(picture(chart.svg)), "description": chart.title, "object_position": 1}
            sheet.insert_image(row + 1, 0, "chart.png", {**image, "x_scale": 0.5, "y_scale": 0.5})
            row += 24

    def sources(self) -> None:
        content, say = self.content, self.content.say
        sheet = self._sheet(say("sheet-sources"))
        sheet.set_column(0, 0, _WIDE)
        sheet.set_column(1, 1, 90)
        sheet.merge_range(0, 0, 0, 1, say("annex-title"), self.styles["title"])
        sheet.merge_range(1, 0, 1, 1, content.log, self.styles["text"])
        sheet.set_row(1, 40)
        rows = [(say("annex-of"), say("annex-query")), *content.sources]
        for row, cells in enumerate(rows, 3):
            for column, cell in enumerate(cells):
                sheet.write_string(row, column, cell, self.styles["head" if row == 3 else "cell"])
        row = len(rows) + 4
        sheet.merge_range(row, 0, row, 1, say("annex-proof"), self.styles["text"])
        sheet.set_row(row, 40)
        facts = (*content.facts, (say("page-qr"), content.report.proof))
        for at, cells in enumerate(facts, row + 1):
            for column, cell in enumerate(cells):
                sheet.write_string(at, column, cell, self.styles["cell"])
        code = io.BytesIO()
        segno.make(content.report.proof, error="m").save(code, kind="png", scale=4, border=2)
        image = {"image_data": code, "description": say("page-qr"), "object_position": 1}
        sheet.insert_image(row + len(facts) + 2, 0, "code.png", image)

    def _sheet(self, name: str) -> Any:
        sheet = self.book.add_worksheet(name.replace("/", " "))
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.hide_gridlines(2)
        return sheet

    def _widths(self, sheet: Any, tables: tuple[ShownTable, ...]) -> None:
        """A column is as wide as its longest text, within bounds."""
        for column in range(max((len(table.heads) for table in tables), default=0)):
            texts = [
                len(str(row[column])) for table in tables if column < len(table.heads) for row in table.rows
            ]  # fmt: skip
            sheet.set_column(column, column, 6 if column == 0 else min(_MOST, max([_NARROW, *texts]) + 3))

    def _table(self, sheet: Any, row: int, table: ShownTable) -> int:
        """Returns the row below it."""
        sheet.write_string(row, 0, table.title, self.styles["caption"])
        if not table.rows:
            sheet.write_string(row + 1, 1, self.content.say("nothing"), self.styles["text"])
            return row + 2
        for column, head in enumerate(table.heads):
            sheet.write_string(row + 1, column, head.title, self.styles["head"])
        for at, cells in enumerate(table.rows, row + 2):
            self._row(sheet, at, cells, "")
        end = row + 2 + len(table.rows)
        if table.total is not None:
            self._row(sheet, end, table.total, "total")
            end += 1
        return end

    def _row(self, sheet: Any, row: int, cells: tuple[Cell, ...], total: str) -> None:
        text, number = (self.styles[total or "cell"], self.styles["total-number" if total else "number"])
        for column, cell in enumerate(cells):
            if isinstance(cell, str):
                sheet.write_string(row, column, cell[:XLSX_CELL], text)
            elif cell is None:
                sheet.write_blank(row, column, None, text)
            else:
                sheet.write_number(row, column, cell, self._number(cell, number))

    def _number(self, cell: int | float | Decimal, plain: Any) -> Any:
        """The style that shows as many digits after the point as the number has."""
        if not isinstance(cell, Decimal):
            return self.styles["tenths"] if isinstance(cell, float) else plain
        digits = max(0, -int(cell.as_tuple().exponent))
        name = f"decimal-{digits}"
        if name not in self.styles:
            form = "#,##0" + ("." + "0" * digits if digits else "")
            self.styles[name] = self.book.add_format({**self.framed, "align": "right", "num_format": form})
        return self.styles[name]
