"""A spreadsheet, a title line and some rows, becomes a draft that takes the file; openpyxl and `csv` read what it
writes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from contracts.base.errors import Theirs
from contracts.codecs.cells.codec import CellCodec
from contracts.folder.bundle import Bundle
from contracts.folder.todo_markers import MARK
from contracts.importers.draft import Draft, write
from contracts.importers.formats.cells import import_csv, import_xlsx
from contracts.importers.shape import Interface
from contracts.importers.source import Files
from contracts.proof.check import check_bundle

LINES = [
    "Báo cáo tháng;;;;;;",
    "Mã trạm;Ngày;Lúc;Giá trị;Số lần;Hoạt động;Ghi chú",
    "001;24/11/2026;24/11/2026 08:30;1,5;3;true;",
    "002;25/11/2026;25/11/2026 09:00;-2;0;false;ổn định; ",
]
TYPES = {
    "ma_tram": {"type": "string", "minLength": 1, "maxLength": 2000},
    "ngay": {"type": "string", "format": "date"},
    "luc": {"type": "string", "format": "date-time"},
    "gia_tri": {"type": "number"},
    "so_lan": {"type": "integer"},
    "hoat_dong": {"type": "boolean"},
    "ghi_chu": {"type": "string", "minLength": 1, "maxLength": 2000},
}


def drafted(read: Callable[[Files], Interface], raw: bytes, name: str) -> tuple[Draft, CellCodec]:
    draft = write(read(Files(name, lambda path: raw)))
    files = {path: each.replace(MARK.encode(), b"xong") for path, each in draft.files.items()}
    report = check_bundle(Bundle.of(files))
    assert report.findings == [] and report.compiled is not None
    codec = report.compiled.codec(draft.id + name[name.rindex(".") :].replace(".", "-"))
    assert isinstance(codec, CellCodec)
    return draft, codec


def types_of(draft: Draft) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(draft.files["schema.json"])["$defs"]["MucNuoc"]
    return found


def text(encoding: str = "utf-8", end: str = "\r\n") -> bytes:
    return (end.join([*LINES[:3], LINES[3][:-2]]) + end).encode(encoding)


@pytest.mark.parametrize(
    "raw", [text(), b"\xef\xbb\xbf" + text(), text("utf-16"), text(end="\n")], ids=["utf-8", "bom", "utf-16", "lf"]
)
def test_a_csv_file_becomes_a_draft_that_takes_it(raw: bytes) -> None:
    draft, codec = drafted(import_csv, raw, "mức nước.csv")
    made = types_of(draft)
    assert made["properties"] == TYPES and set(made["required"]) == set(TYPES) - {"ghi_chu"}
    messages = codec.read_cells("MucNuoc", raw)
    assert messages[1]["ghi_chu"] == "ổn định" and messages[0]["luc"] == "2026-11-24T08:30:00+07:00"
    written = codec.write_cells("MucNuoc", messages).decode("utf-16" if raw[:2] == b"\xff\xfe" else "utf-8-sig")
    rows = [row for row in csv.reader(io.StringIO(written), delimiter=";") if row]
    assert rows[0] == LINES[1].split(";") and rows[1][:3] == ["001", "24/11/2026", "24/11/2026 08:30"]
    assert {each.code for each in draft.notes} == {"guessed"}


def test_an_xlsx_file_becomes_a_draft_that_takes_it() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["Báo cáo"],
        LINES[1].split(";"),
        ["001", datetime(2026, 11, 24), datetime(2026, 11, 24, 8, 30), 1.5, 3, True, None],
        ["002", datetime(2026, 11, 25), datetime(2026, 11, 25, 9), -2, 0, False, "ổn định"],
    ):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    draft, codec = drafted(import_xlsx, out.getvalue(), "mức nước.xlsx")
    assert types_of(draft)["properties"] == TYPES
    messages = codec.read_cells("MucNuoc", out.getvalue())
    assert messages[0]["ma_tram"] == "001" and messages[0]["luc"] == "2026-11-24T08:30:00+07:00"
    back = openpyxl.load_workbook(io.BytesIO(codec.write_cells("MucNuoc", messages))).active
    assert back is not None and [cell.value for cell in back[2]] == LINES[1].split(";")


@pytest.mark.parametrize(
    "raw",
    [
        "sep=;\r\nMã\u00a0trạm;Tỷ  lệ;Độ ẩm\r\n001;41,07%;5%\r\n",
        "\ufeff\ufeffMã trạm;Tỷ\u202flệ;Độ ẩm\n001;41,07 %;5%\n",
        '"Báo cáo\nquý";;\nMã trạm;"Tỷ\nlệ";Độ ẩm\n001;41,07%;5%\n',
    ],
    ids=["sep", "marks", "line breaks"],
)
def test_what_spreadsheets_put_into_a_csv_file(raw: str) -> None:
    draft, codec = drafted(import_csv, raw.encode(), "mức nước.csv")
    assert list(types_of(draft)["properties"]) == ["ma_tram", "ty_le", "do_am"]
    assert codec.read_cells("MucNuoc", raw.encode()) == [
        {"ma_tram": "001", "ty_le": Decimal("41.07"), "do_am": Decimal(5)}
    ]


def test_what_a_workbook_shows_and_hides() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Mã trạm", "Tỷ\u00a0lệ", "Lẫn"], ["001", 0.4107, 0.5], ["002", 1, 0.25]):
        sheet.append(row)
    for cell in ("B2", "B3", "C3"):
        sheet[cell].number_format = "0.00%"
    sheet.row_dimensions[3].hidden = sheet.column_dimensions["B"].hidden = True
    sheet.parent.create_sheet("Danh mục", 0).sheet_state = "hidden"
    book.active = 1
    out = io.BytesIO()
    book.save(out)
    draft = write(import_xlsx(Files("muc-nuoc.xlsx", lambda path: out.getvalue())))
    assert [types_of(draft)["properties"][name]["type"] for name in ("ty_le", "lan")] == ["number", "string"]
    assert b"as: percent" in draft.files["systems/muc-nuoc-xlsx.yaml"]
    assert {each.code: each.detail for each in draft.notes} == {
        "guessed": "2", "hidden-rows": "3", "hidden-columns": "Tỷ lệ", "hidden-sheets": "Danh mục"
    }  # fmt: skip
    assert all("{" not in each.say("vi") for each in draft.notes)


def test_columns_that_do_not_agree_are_text_and_one_is_required() -> None:
    draft, codec = drafted(import_csv, b"a,b,=c\n1,x,1\nx,,2\n,2026-01-01,3\n", "muc-nuoc.csv")
    made = types_of(draft)
    assert made["properties"]["a"] == made["properties"]["b"] == TYPES["ma_tram"] and made["required"] == ["a"]
    assert {each.code for each in draft.notes} == {"guessed", "first-column", "name"}


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b"", "nothing"), (b"a,a\n1,2\n", "unreadable"), (b'a,"b\n', "unreadable"), (b"=a\n", "nothing")],
)
def test_a_file_without_titles_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(Theirs) as caught:
        import_csv(Files("a.csv", lambda path: raw))
    assert caught.value.code == f"import.{code}"
