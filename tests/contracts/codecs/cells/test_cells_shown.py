"""What a spreadsheet shows and what its file holds: percentages, hidden places, and the marks that programs put
before a CSV."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from contracts.base.errors import Theirs
from contracts.base.phrases import vietnamese
from contracts.codecs.cells import csvtext, xlsxread, xlsxwrite
from contracts.codecs.cells.codec import CellCodec
from contracts.codecs.cells.hidden import Hidden
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle
from contracts.mapping.grid import Cell, Layout, Typed
from tests.contracts.rowsmaking import HEAD
from tests.cost import seconds

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "Row": {
            "type": "object",
            "properties": {
                "id": {"type": "string", "minLength": 1, "maxLength": 20},
                "share": {"type": "number"},
                "plain": {"type": "number"},
            },
            "required": ["id"],
            "additionalProperties": False,
        }
    },
}
CONTRACT = (
    HEAD + "  putRow: {pattern: submit, method: POST, path: /r, request: Row, answer: Row, title: {vi: G, en: P}}\n"
)
TABLE = """
title: {{vi: B, en: B}}
{head}
messages:
  Row:
    rows:
      - {{canonical: id, here: Mã}}
      - {{canonical: share, here: "Tỷ lệ che phủ", as: {shape}}}
      - {{canonical: plain, here: Trị số{comma}}}
"""
HEADS = {
    "bang-csv": TABLE.format(head='format: csv\ndelimiter: ";"', shape="percent-comma", comma=", as: decimal-comma"),
    "bang-xlsx": TABLE.format(head="format: xlsx", shape="percent", comma=""),
}
TITLES = ["Mã", "Tỷ lệ che phủ", "Trị số"]


@pytest.fixture(scope="module")
def compiled() -> CompiledContract:
    files = {"contract.yaml": CONTRACT, "schema.json": json.dumps(SCHEMA)}
    files |= {f"systems/{name}.yaml": text for name, text in HEADS.items()}
    return compile_bundle(Bundle.of({path: text.encode() for path, text in files.items()}))


def codec_of(compiled: CompiledContract, name: str) -> CellCodec:
    codec = compiled.codec(name)
    assert isinstance(codec, CellCodec)
    return codec


def saved(fill: Callable[[Any], None], *rows: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    fill(sheet)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def shown_as(form: str) -> Callable[[Any], None]:
    """All numbers of the second and third column are shown so."""

    def fill(sheet: Any) -> None:
        for cell in sheet["B"][1:] + sheet["C"][1:]:
            cell.number_format = form

    return fill


@pytest.mark.parametrize("form", ["0%", "0.00%", "0.0 %", '"tăng" 0.00%'])
def test_a_percent_cell_is_the_number_that_it_shows_or_refused(compiled: CompiledContract, form: str) -> None:
    raw = saved(shown_as(form), TITLES, ["a", 0.4107, None], ["b", 1, None], ["c", None, 0.4107])
    lines = codec_of(compiled, "bang-xlsx").read_lines("Row", raw)
    assert [line.value for line in lines] == [
        {"id": "a", "share": Decimal("41.07")},
        {"id": "b", "share": Decimal("100")},
        None,
    ]
    (finding,) = lines[2].findings
    assert (finding.here, finding.got, finding.rule) == ("Trị số", "a percent cell", "type")
    assert "percent" in finding.expected and "phần trăm" in vietnamese(finding.expected)
    assert vietnamese(finding.got) == "ô phần trăm"


@pytest.mark.parametrize("form", ["General", "0.00", '0.00 "%"', "0.00\\%"])
def test_a_number_without_the_sign_is_no_percentage(compiled: CompiledContract, form: str) -> None:
    """A sign between quotes or after a backslash is text: it changes nothing of the number."""
    raw = saved(shown_as(form), TITLES, ["a", 41.07, None], ["b", None, 41.07])
    lines = codec_of(compiled, "bang-xlsx").read_lines("Row", raw)
    assert [finding.here for finding in lines[0].findings] == ["Tỷ lệ che phủ"]
    assert lines[1].value == {"id": "b", "plain": Decimal("41.07")}


@pytest.mark.parametrize(
    ("text", "value"),
    [("41,07%", "41.07"), ("-1,5 %", "-1.5"), ("100\u00a0%", "100"), ("41,07", None), ("41.07%", None), ("%", None)],
)
def test_a_percentage_in_csv(compiled: CompiledContract, text: str, value: str | None) -> None:
    (line,) = codec_of(compiled, "bang-csv").read_lines("Row", f"Mã;Tỷ lệ che phủ\nx;{text}\n".encode())
    assert line.value == (None if value is None else {"id": "x", "share": Decimal(value)})


@pytest.mark.parametrize("name", list(HEADS))
def test_a_percentage_is_written_with_its_sign_and_read_again(compiled: CompiledContract, name: str) -> None:
    codec, value = codec_of(compiled, name), {"id": "x", "share": Decimal("41.07"), "plain": Decimal("0.5")}
    raw = codec.write_cells("Row", [value])
    assert codec.read_cells("Row", raw) == [value]
    assert name == "bang-xlsx" or "41,07%" in raw.decode()


# --- before the titles ------------------------------------------------------------------------------------------------

BOM = "\ufeff"
LINE = "a;41,07%;1,5\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nMã;Tỷ lệ che phủ;Trị số\r\n" + LINE,
        BOM + "SEP=;\nMã;Tỷ lệ che phủ;Trị số\n" + LINE,
        "sep=|\r\n" + ("Mã;Tỷ lệ che phủ;Trị số\r\n" + LINE).replace(";", "|"),
        BOM + BOM + "Mã;Tỷ lệ che phủ;Trị số\r\n" + LINE,
        "Mã;Tỷ\u00a0lệ che\u202fphủ\u00a0;Trị  số\r\n" + LINE,
        'Mã;"Tỷ lệ\nche phủ";\u00a0Trị số\r\n' + LINE,
    ],
    ids=["sep", "mark and sep", "another sep", "two marks", "no-break spaces", "line break"],
)
def test_what_programs_put_before_a_table_and_into_titles(compiled: CompiledContract, text: str) -> None:
    (line,) = codec_of(compiled, "bang-csv").read_lines("Row", text.encode())
    assert line.value == {"id": "a", "share": Decimal("41.07"), "plain": Decimal("1.5")}
    assert line.number == text.replace("\r\n", "\n").removesuffix("\n").count("\n") + 1, "as an editor counts"


def test_a_stated_delimiter_that_no_table_has_is_refused(compiled: CompiledContract) -> None:
    with pytest.raises(Theirs) as refused:
        codec_of(compiled, "bang-csv").read_lines("Row", b"sep=a\nM\n")
    (finding,) = refused.value.findings
    assert finding.here == "line 1" and vietnamese(finding.expected) != finding.expected


@pytest.mark.parametrize("first", [BOM, BOM + "Mã", "sep=;", "sep=", "Sep=,"])
@pytest.mark.parametrize("header_row", [1, 2])
def test_a_title_like_such_a_mark_is_written_so_that_it_is_read(first: str, header_row: int) -> None:
    for rows in ([[first, ""], ["a", "b"]], [[first], ["a"]]):
        layout = Layout("csv", header_row, ";")
        assert [list(row.cells) for row in csvtext.read(csvtext.write(rows, layout), layout)] == rows


# --- hidden places ----------------------------------------------------------------------------------------------------


def hide(sheet: Any) -> None:
    for number in (3, 4, 9):  # 9 has no content
        sheet.row_dimensions[number].hidden = True
    sheet.column_dimensions.group("C", "E", hidden=True)
    sheet.title = "Nhập"
    sheet.parent.create_sheet("Danh mục", 0).sheet_state = "hidden"
    sheet.parent.create_sheet("Rất kín").sheet_state = "veryHidden"
    sheet.parent.active = 1


def test_hidden_rows_columns_and_sheets_are_read_and_named(compiled: CompiledContract) -> None:
    raw, hidden = saved(hide, TITLES, *[[name, None, 1] for name in "abcd"]), Hidden()
    codec = codec_of(compiled, "bang-xlsx")
    lines = codec.read_lines("Row", raw, None, hidden)
    assert [line.value for line in lines] == [{"id": name, "plain": Decimal(1)} for name in "abcd"], "the sheet shown"
    assert (hidden.sheet, hidden.sheets) == ("", ["Danh mục", "Rất kín"])
    assert (hidden.rows, hidden.columns) == ([3, 4], ["Trị số"])
    assert not Hidden() and hidden


def test_a_hidden_sheet_that_a_table_names_is_said() -> None:
    raw, hidden = saved(hide, TITLES), Hidden()
    assert not list(xlsxread.read(raw, Layout("xlsx", sheet="Rất kín"), hidden))
    assert (hidden.sheet, hidden.sheets) == ("Rất kín", ["Danh mục"])


# --- cost -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(HEADS))
def test_twice_the_lines_cost_twice(compiled: CompiledContract, name: str) -> None:
    codec, title = codec_of(compiled, name), TITLES

    def cost(count: int) -> float:
        rows: list[list[Cell]] = [list(title)]
        if name == "bang-xlsx":
            rows += [[f"m{at}", "41.07%", Typed("number", Decimal(at) / 4)] for at in range(count)]
            raw = xlsxwrite.write(rows, "S", 1)
        else:
            texts = [title, *([f"m{at}", "41,07%", f"{at},25"] for at in range(count))]
            raw = csvtext.write(texts, codec.layout)
        assert all(line.value is not None for line in codec.read_lines("Row", raw))
        return seconds(lambda: codec.read_lines("Row", raw))

    assert cost(8_000) < 3 * cost(4_000)
