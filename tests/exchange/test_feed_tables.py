"""Events as tables: every form holds the same cells, piece by piece, and runs nothing in a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any

import openpyxl
import pytest

from contracts.compiled.contract import CompiledContract
from gateway.exchange.feed_tables import ATTRIBUTES, TABLES, columns_of, has_parquet, row_of

FORMS = ["csv", "xlsx", pytest.param("parquet", marks=pytest.mark.skipif(not has_parquet(), reason="no pyarrow"))]


def event(number: int, **data: Any) -> dict[str, Any]:
    return {"sequence": f"{number:020d}", "id": f"t{number}", "type": "urn:x:op", "lgspagency": "H14", "data": data}


def read(form: str, content: bytes) -> list[list[str | None]]:
    """The rows, the header first; an empty cell is None."""
    if form == "csv":
        assert content.startswith(b"\xef\xbb\xbf")
        return [
            [each or None for each in row] for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        ]
    if form == "xlsx":
        sheet = openpyxl.load_workbook(io.BytesIO(content), read_only=True).worksheets[0]
        rows = [
            [each and str(each).replace("_x000D_", "\r") for each in row] for row in sheet.iter_rows(values_only=True)
        ]
        return [row + [None] * (len(rows[0]) - len(row)) for row in rows]
    table = pytest.importorskip("pyarrow.parquet").read_table(io.BytesIO(content))
    return [list(table.column_names), *([row[name] for name in table.column_names] for row in table.to_pylist())]


COLUMNS = ("sequence", "id", "data.name", "data.area.code", "data.lines")


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_hold_the_same(form: str) -> None:
    events = [
        event(1, name="Bà Nguyễn\r\n“Lan”, 3", area={"code": "04"}, lines=[{"n": "1"}]),
        event(2, name={"absent": "not-permitted"}, area={"absent": "not-permitted"}),
        event(3, name="", area={}),
    ]
    table = TABLES[form](COLUMNS)
    pieces = [table.rows([row_of(each, COLUMNS)]) for each in events] + [table.end()]
    rows = read(form, b"".join(pieces))
    assert [*map(str, rows[0])] == list(COLUMNS)
    assert rows[1][2:] == ["Bà Nguyễn\r\n“Lan”, 3", "04", '[{"n":"1"}]']
    assert rows[2][1:] == ["t2", "(absent: not-permitted)", "(absent: not-permitted)", None]
    assert [each or None for each in rows[3][2:]] == [None, None, None] and len(rows) == 4
    assert len(read(form, (empty := TABLES[form](COLUMNS)).rows([]) + empty.end())) == 1


@pytest.mark.attack("a spreadsheet that runs a cell")
@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    rows = [row_of(event(1, name=text), COLUMNS)]
    content = (table := TABLES["csv"](COLUMNS)).rows(rows) + table.end()
    assert read("csv", content)[1][2] == f"'{text}"
    content = (table := TABLES["xlsx"](COLUMNS)).rows(rows) + table.end()
    cells = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0][2]
    assert all(each.data_type in ("s", "n", "inlineStr") for each in cells) and cells[2].data_type != "f"


@pytest.mark.parametrize("form", FORMS)
def test_rows_leave_as_they_come(form: str) -> None:
    """What a table keeps does not grow with its rows."""
    table = TABLES[form](COLUMNS)
    sent = []
    for start in range(0, 40_000, 1000):
        rows = [row_of(event(start + each, name=f"{start * 7919 + each * 104729:x}"), COLUMNS) for each in range(1000)]
        sent.append(len(table.rows(rows)))
    assert len(table.end()) < sum(sent) / 4
    assert min(sent[5:]) > 0


def test_columns_are_the_values_of_the_contract(catalogue: list[CompiledContract]) -> None:
    fed = {each.contract.name: columns_of(each) for each in catalogue if each.contract.fed}
    alerts = fed["incident-alert/v1"]
    assert alerts[: len(ATTRIBUTES)] == ATTRIBUTES and "data.identifier" in alerts
    assert any(each.startswith("data.request.") for each in fed["field-report/v1"])
    assert any(each.startswith("data.answer.") for each in fed["field-report/v1"])
    assert all(len(set(each)) == len(each) for each in fed.values())
