"""XLSX: what is written is read again, and by another program too; what other programs write is read exactly; hostile
workbooks are refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codecs.cells import xlsxparts, xlsxread, xlsxwrite
from contracts.mapping.grid import Cell, Layout, Typed, Unreadable
from contracts.wire.xmltext import ILLEGAL

LAYOUT = Layout("xlsx")
TEXT = st.text(
    st.characters(exclude_categories=["Cs"]).filter(lambda c: not ILLEGAL.search(c)), max_size=8
) | st.sampled_from(["", " hai  đầu ", "a\r\nb\r", "_x000D_", "_x005F_", "=1+1", "00123", "<&>\"'", "𝄞"])
NUMBER = st.decimals(allow_nan=False, allow_infinity=False, places=6) | st.integers(-(10**17), 10**17).map(Decimal)


def rows_of(raw: bytes, layout: Layout = LAYOUT) -> list[list[Cell]]:
    return [list(row.cells) for row in xlsxread.read(raw, layout)]


def saved(fill: Callable[[Any], None]) -> bytes:
    book = openpyxl.Workbook()
    fill(book.active)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def patched(raw: bytes, changes: dict[str, Callable[[bytes], bytes]], added: dict[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, changes[name](data) if name in changes else data)
        for name, data in (added or {}).items():
            new.writestr(name, data)
    return out.getvalue()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(TEXT | NUMBER.map(lambda n: xlsxwrite.number_cell(f"{n:f}")), max_size=5), max_size=4),
    st.integers(1, 5),
)
def test_what_is_written_is_read_and_is_the_same_bytes_each_time(rows: list[list[Cell]], header_row: int) -> None:
    raw = xlsxwrite.write(rows, "Số liệu & <1>", header_row)
    assert raw == xlsxwrite.write(rows, "Số liệu & <1>", header_row)
    found = rows_of(raw, Layout("xlsx", header_row, sheet="Số liệu & <1>"))
    assert len(found) == len(rows)
    for one, other in zip(found, rows, strict=True):
        assert one == other[: len(one)] and all(cell == "" for cell in other[len(one) :])


@settings(max_examples=300, deadline=None)
@given(NUMBER | st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: abs(d.adjusted()) < 200))
def test_a_number_is_exact_in_a_numeric_cell_or_it_is_text(number: Decimal) -> None:
    text = f"{number:f}"
    cell = rows_of(xlsxwrite.write([[xlsxwrite.number_cell(text)]], "S", 1))[0][0]
    assert cell == text or isinstance(cell, Typed) and cell.kind == "number" and cell.value == number


def test_another_program_reads_what_we_write() -> None:
    rows: list[list[Cell]] = [
        ["Mã", "Trị số"],
        ["00123", xlsxwrite.number_cell("612.450")],
        [" =1+1 ", Typed("boolean", True)],
    ]
    sheet = openpyxl.load_workbook(io.BytesIO(xlsxwrite.write(rows, "Số liệu", 3)))["Số liệu"]
    assert [[cell.value for cell in row] for row in sheet.iter_rows(min_row=3)] == [
        ["Mã", "Trị số"],
        ["00123", 612.45],
        [" =1+1 ", True],
    ]


def test_what_another_program_writes_is_read_exactly() -> None:
    def fill(sheet: Any) -> None:
        sheet.append(
            ["00123", 123, 0.1, 1e-7, -612.45, True, datetime(2026, 10, 5, 8, 30), date(2026, 1, 31), None, "hai\ndòng"]
        )
        sheet["K1"] = 45_000
        sheet["K1"].number_format = '"ngày" dd/mm'
        sheet["L1"] = 45_000
        sheet["L1"].number_format = '#,##0.00 "đồng/ngày"'
        sheet["N3"] = "xa"

    rows = rows_of(saved(fill))

    def number(text: str) -> Typed:
        return Typed("number", Decimal(text))

    assert rows[0] == [
        "00123",
        number("123"),
        number("0.1"),
        number("1E-7"),
        number("-612.45"),
        Typed("boolean", True),
        Typed("date", datetime(2026, 10, 5, 8, 30)),
        Typed("date", datetime(2026, 1, 31)),
        "",
        "hai\ndòng",
        Typed("date", datetime(2023, 3, 15)),
        number("45000"),
    ]
    assert rows[-1] == [""] * 13 + ["xa"]


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        ("612.45000000000005", "612.45"),  # as Excel stores what was typed as 612.45
        ("0.30000000000000004", "0.30000000000000004"),
        ("1.2E2", "120"),
        ("9007199254740991", "9007199254740991"),
        ("9007199254740992", None),
        ("1.2345678901234567E+19", None),
        ("0.1234567890123456789", None),
        ("1e999", None),
        ("nan", None),
        ("abc", None),
    ],
)
def test_a_double_is_its_shortest_decimal_and_what_it_cannot_hold_is_refused(stored: str, meant: str | None) -> None:
    sheet = "xl/worksheets/sheet1.xml"
    raw = patched(
        xlsxwrite.write([[xlsxwrite.number_cell("7")]], "S", 1),
        {sheet: lambda x: x.replace(b"<v>7<", f"<v>{stored}<".encode())},
    )
    cell = rows_of(raw)[0][0]
    assert isinstance(cell, Typed)
    assert (cell.kind, str(cell.value)) == ("number", meant) if meant is not None else cell.kind == "refused"


def test_formulas_errors_and_odd_dates_are_refused_in_their_cell() -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["=1+1", "#N/A", time(8, 30), date(1900, 1, 5)])
        sheet["B1"].data_type = "e"

    assert [cell.kind if isinstance(cell, Typed) else cell for cell in rows_of(saved(fill))[0]] == ["refused"] * 4


def test_the_calendar_of_1904_is_reckoned() -> None:
    def fill(sheet: Any) -> None:
        sheet.parent.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
        sheet["A1"] = date(2026, 10, 5)

    assert rows_of(saved(fill)) == [[Typed("date", datetime(2026, 10, 5))]]


def bomb() -> bytes:
    row = b'<row><c t="inlineStr"><is><t>' + b"a" * 1_000_000 + b"</t></is></c></row>"
    out = io.BytesIO()
    whole = xlsxwrite.write([], "S", 1)
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != "xl/worksheets/sheet1.xml":
                new.writestr(name, old.read(name))
        with new.open("xl/worksheets/sheet1.xml", "w") as part:
            part.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
            for _ in range(xlsxparts.MAX_UNPACKED // len(row) + 1):
                part.write(row)
            part.write(b"</sheetData></worksheet>")
    return out.getvalue()


PLAIN = xlsxwrite.write([["a"], ["b"]], "S", 1)
SHEET, BOOK = "xl/worksheets/sheet1.xml", "xl/workbook.xml"
DOCTYPE = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PK\x03\x04",
        PLAIN[:-30],
        patched(PLAIN, {}, {"xl/vbaProject.bin": b"x"}),
        patched(PLAIN, {}, {"xl/externalLinks/externalLink1.xml": b"<x/>"}),
        patched(PLAIN, {SHEET: lambda x: x.replace(b"<worksheet", DOCTYPE + b"<worksheet").replace(b">a<", b">&b;<")}),
        patched(PLAIN, {BOOK: lambda x: x.replace(b"<workbook", DOCTYPE + b"<workbook")}),
        patched(PLAIN, {SHEET: lambda x: x[:-20]}),
        patched(PLAIN, {SHEET: lambda x: x.replace(b'<row r="2"', b'<row r="1"')}),
        patched(PLAIN, {SHEET: lambda x: x.replace(b'r="A2"', b'r="A3"')}),
        patched(PLAIN, {SHEET: lambda x: x.replace(b'r="A2"', b'r="ZZZ2"')}),
        patched(
            PLAIN,
            {
                SHEET: lambda x: x.replace(
                    b"</sheetData>", b'</sheetData><mergeCells><mergeCell ref="A1:B2"/></mergeCells>'
                )
            },
        ),
        patched(PLAIN, {SHEET: lambda x: x.replace(b"<row ", b"<x>" + b"<y/>" * 3_000_000 + b"</x><row ", 1)}),
        patched(PLAIN, {"_rels/.rels": lambda x: x.replace(b"xl/workbook.xml", b"../../etc/passwd")}),
        patched(PLAIN, {}, {f"x/{number}": b"" for number in range(1000)}),
    ],
    ids=[
        "empty",
        "no end",
        "cut",
        "macros",
        "links",
        "entities",
        "doctype",
        "half a sheet",
        "row twice",
        "cell of another row",
        "far column",
        "merged",
        "a tree too large",
        "elsewhere",
        "too many parts",
    ],
)
def test_hostile_workbooks_are_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        rows_of(raw)


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    raw = bomb()
    assert len(raw) < 1_000_000
    with pytest.raises(Unreadable):
        for _ in xlsxread.read(raw, LAYOUT):
            pass


def test_an_encrypted_part_is_refused() -> None:
    raw = bytearray(PLAIN)
    at = raw.index(b"PK\x01\x02")
    raw[at + 8] |= 1
    with pytest.raises(Unreadable):
        rows_of(bytes(raw))


def test_a_sheet_that_is_not_there_is_named() -> None:
    with pytest.raises(Unreadable) as fault:
        rows_of(PLAIN, Layout("xlsx", sheet="Số liệu"))
    assert fault.value.got == "the sheets S" and fault.value.expected == "a sheet Số liệu"
