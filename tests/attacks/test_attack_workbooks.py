"""Workbooks and tables of strangers: small files that unpack to much, numbers that are none, too many of everything.
Each is refused with words, soon."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any, Final

import pytest

from contracts.base.errors import Theirs
from contracts.base.phrases import vietnamese
from contracts.codecs.cells.codec import CellCodec
from contracts.codecs.cells.xlsxwrite import write
from contracts.folder.bundle import catalogue_folders
from tests.cost import seconds

MESSAGE: Final = "IndicatorValues"
SAMPLES: Final = next(folder for folder in catalogue_folders() if folder.parent.name == "indicator") / "samples"
MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
TYPE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SHEET: Final = "xl/worksheets/sheet1.xml"
RELATED: Final = "xl/_rels/workbook.xml.rels"
SHEET_NAME: Final = "Số liệu"
TITLES: Final = (
    "Mã chỉ tiêu",
    "Mã địa bàn",
    "Kỳ báo cáo",
    "Tần suất",
    "Đơn vị tính",
    "Giá trị",
    "Tình trạng",
    "Ghi chú",
    "Người phụ trách",
    "Điện thoại",
    "Cập nhật",
)
HEAD: Final = "<row/><row/><row>" + "".join(f'<c t="str"><v>{title}</v></c>' for title in TITLES) + "</row>"
MANY: Final = 25  # times what a plain workbook of 10,000 rows costs: what nothing bounds takes hundreds


def workbook(parts: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A workbook with one sheet, in which these parts are replaced or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(write([["a"]], SHEET_NAME, 3))) as old, zipfile.ZipFile(out, "w", method) as new:
        found = {name: old.read(name).decode() for name in old.namelist()} | sheet("") | parts
        for name, text in found.items():
            new.writestr(name, text)
    return out.getvalue()


def sheet(rows: str) -> dict[str, str]:
    """The sheet with the titles in its third row, and these rows after it."""
    return {SHEET: f'<worksheet xmlns="{MAIN}"><sheetData>{HEAD}{rows}</sheetData></worksheet>'}


def related(more: str) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(write([["a"]], SHEET_NAME, 3))) as book:
        return {RELATED: book.read(RELATED).decode().replace("</Relationships>", f"{more}</Relationships>")}


def styled(styles: str) -> dict[str, str]:
    link = related(f'<Relationship Id="rId8" Type="{TYPE}/styles" Target="styles.xml"/>')
    return link | {"xl/styles.xml": styles if styles.startswith("<") else f'<styleSheet xmlns="{MAIN}"></styleSheet>'}


def styles(inner: str) -> dict[str, str]:
    return styled(f'<styleSheet xmlns="{MAIN}">{inner}</styleSheet>')


def texts(inner: str, times: int = 1) -> dict[str, str]:
    link = f'<Relationship Id="rId9" Type="{TYPE}/sharedStrings" Target="texts.xml"/>' * times
    return related(link) | {"xl/texts.xml": f'<sst xmlns="{MAIN}">{inner}</sst>'}


def code(text: str) -> dict[str, str]:
    return styles(f'<numFmts><numFmt numFmtId="200" formatCode="{text}"/></numFmts>')


def sheets(number: int) -> dict[str, str]:
    many = "".join(f'<sheet name="{SHEET_NAME}{i}" sheetId="{i}" r:id="rId1"/>' for i in range(1, number))
    return {"xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{TYPE}"><sheets>{many}</sheets></workbook>'}


def directory(number: int) -> bytes:
    """A zip of that many empty parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for at in range(number):
            new.writestr(zipfile.ZipInfo(f"{at}"), b"")
    return out.getvalue()


BOOKS: Final[dict[str, Callable[[], bytes]]] = {
    "a format code of brackets": lambda: workbook(code("[" * 100_000)),
    "a format code of 256 characters": lambda: workbook(code("0" * 256)),
    "a format code as root": lambda: workbook(styled(f'<numFmt xmlns="{MAIN}" numFmtId="200" formatCode="d"/>')),
    "many format codes": lambda: workbook(
        styles("<numFmts>" + '<numFmt numFmtId="200" formatCode="d"/>' * 500_000 + "</numFmts>")
    ),
    "many styles": lambda: workbook(styles("<cellXfs>" + "<xf/>" * 500_000 + "</cellXfs>")),
    "many styles, one by one": lambda: workbook(styles("<cellXfs><xf/></cellXfs>" * 500_000)),
    "a style of a superscript": lambda: workbook(styles('<cellXfs><xf numFmtId="²"/></cellXfs>')),
    "a style of 5,000 digits": lambda: workbook(styles(f'<cellXfs><xf numFmtId="{"1" * 5_000}"/></cellXfs>')),
    "a format of a superscript": lambda: workbook(styles('<numFmts><numFmt numFmtId="²" formatCode="d"/></numFmts>')),
    "a row of a superscript": lambda: workbook(sheet('<row r="²"/>')),
    "a row of Arabic digits": lambda: workbook(sheet('<row r="١"/>')),
    "a row of 5,000 digits": lambda: workbook(sheet(f'<row r="{"1" * 5_000}"/>')),
    "a row beyond the last": lambda: workbook(sheet('<row r="1048577"/>')),
    "five million empty rows": lambda: workbook(sheet("<row/>" * 5_000_000)),
    "five million empty rows before the titles": lambda: workbook(
        {SHEET: f'<w xmlns="{MAIN}">{"<row/>" * 5_000_000}</w>'}
    ),
    "five million cells in a row": lambda: workbook(
        sheet("<row>" + "<c/>" * 2_400_000 + "</row>" + "<row>" + "<c/>" * 2_400_000 + "</row>")
    ),
    "five million cells in rows": lambda: workbook(sheet(("<row>" + "<c/>" * 500 + "</row>") * 10_000)),
    "four million relationships": lambda: workbook(related("<Relationship/>" * 4_000_000)),
    "four million relationships of the package": lambda: workbook(
        {"_rels/.rels": f'<R xmlns="urn:r">{"<Relationship/>" * 4_000_000}</R>'}
    ),
    "shared texts named often": lambda: workbook(texts("<si><t>a</t></si>" * 100_000, times=900)),
    "styles named often": lambda: workbook(
        styled("x") | related(f'<Relationship Id="r" Type="{TYPE}/styles" Target="styles.xml"/>' * 900)
    ),
    "many shared texts": lambda: workbook(texts("<si/>" * 5_000_000)),
    "many runs of text": lambda: workbook(texts(("<si>" + "<t/>" * 2_000_000 + "</si>") * 8)),
    "many sheets": lambda: workbook(sheets(300_000)),
    "many merged cells": lambda: workbook(sheet("") | {SHEET: f'<w xmlns="{MAIN}">{"<mergeCell/>" * 3_000_000}</w>'}),
    "many elements that nobody reads": lambda: workbook(
        {SHEET: f'<w xmlns="{MAIN}">{("<x/>" * 900_000 + "<row/>") * 40}</w>'}
    ),
    "a sheet's name of a megabyte": lambda: workbook(
        {"xl/workbook.xml": f'<workbook xmlns="{MAIN}"><sheet name="{"a" * 1_000_000}"/></workbook>'}
    ),
    "forty thousand parts": lambda: directory(40_000),
    "parts packed another way": lambda: workbook({}, zipfile.ZIP_LZMA),
}

READ: Final = {"a format code as root"}  # nothing is wrong with the sheet

CELLS: Final = {  # in a line of their own, which is refused and not the file
    "a style of a superscript": '<c s="²"><v>1</v></c>',
    "a style of 5,000 digits": f'<c s="{"1" * 5_000}"><v>1</v></c>',
    "a text of a superscript": '<c t="s"><v>²</v></c>',
    "a text of 5,000 digits": f'<c t="s"><v>{"1" * 5_000}</v></c>',
    "a number of Arabic digits": "<c><v>١٢</v></c>",
    "a number with underscores": "<c><v>1_0</v></c>",
    "a number of a million digits": f"<c><v>{'1' * 1_000_000}</v></c>",
    "a number of a million zeros": f"<c><v>{'0' * 1_000_000}</v></c>",
    "a number of a vast exponent": f"<c><v>1e-{'9' * 20}</v></c>",
    "a date of a million digits": f'<c t="d"><v>{"1" * 1_000_000}</v></c>',
    "half a character": '<c t="str"><v>_xD800_</v></c>',
}


@pytest.fixture(scope="module")
def codec(catalogue: dict[str, Any]) -> CellCodec:
    made = catalogue["indicator/v1"].codec("chi-tieu-xlsx")
    assert isinstance(made, CellCodec)
    return made


@pytest.fixture(scope="module")
def catalogue() -> dict[str, Any]:
    from contracts.compiled.contract import catalogue

    return {compiled.contract.name: compiled for compiled in catalogue()}


@pytest.fixture(scope="module")
def plain(codec: CellCodec) -> float:
    """Processor seconds in which a workbook of 10,000 rows is read through."""
    raw = write([TITLES, *[["KT-05", "01"]] * 10_000], SHEET_NAME, 3)
    return seconds(lambda: codec.read_lines(MESSAGE, raw))


def cost(codec: CellCodec, raw: bytes) -> tuple[float, Theirs | None]:
    refusals: list[Theirs] = []

    def read() -> None:
        try:
            codec.read_lines(MESSAGE, raw)
        except Theirs as failure:
            refusals.append(failure)

    return seconds(read, 1), refusals[0] if refusals else None


@pytest.mark.sampled("*", but=("many *",))
@pytest.mark.attack("hostile workbooks")
@pytest.mark.parametrize("name", BOOKS)
def test_a_hostile_workbook_is_refused_with_words_and_soon(codec: CellCodec, plain: float, name: str) -> None:
    raw = BOOKS[name]()
    assert len(raw) < 5_000_000
    spent, refused = cost(codec, raw)
    assert spent < MANY * plain, f"{spent:.2f} s, and a plain workbook takes {plain:.2f} s"
    if name in READ:
        assert refused is None
        return
    assert refused is not None and refused.code == "message.invalid"
    (finding,) = refused.findings
    assert finding.rule in ("file", "unknown", "required") and finding.expected
    assert (
        finding.rule != "file"
        or vietnamese(finding.got) != finding.got
        and vietnamese(finding.expected) != finding.expected
    )


@pytest.mark.attack("hostile workbooks")
@pytest.mark.parametrize("name", CELLS)
def test_a_hostile_cell_is_a_finding_of_its_line(codec: CellCodec, plain: float, name: str) -> None:
    good = (SAMPLES / "chi-tieu-xlsx" / f"{MESSAGE}.quy-3.xlsx").read_bytes()
    raw = spliced(good, CELLS[name])
    spent, refused = cost(codec, raw)
    assert refused is None
    lines = codec.read_lines(MESSAGE, raw)
    assert lines[-1].value is None and lines[-1].findings and all(line.value is not None for line in lines[:-1])
    assert spent < MANY * plain


def spliced(raw: bytes, cell: str) -> bytes:
    """The sample with one more row, in which nothing but that cell stands."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(
                name,
                text.replace(b"</sheetData>", f"<row>{cell}</row></sheetData>".encode())
                if name.startswith("xl/worksheets/")
                else text,
            )
    return out.getvalue()


@pytest.mark.attack("hostile workbooks")
def test_half_a_character_in_a_title_can_be_told(codec: CellCodec) -> None:
    """What a finding quotes goes into a report, whose bytes are UTF-8."""
    raw = workbook(
        {SHEET: sheet("")[SHEET].replace("</row></sheetData>", '<c t="str"><v>_xD800_</v></c></row></sheetData>')}
    )
    _, refused = cost(codec, raw)
    assert refused is not None
    for finding in refused.findings:
        for text in (finding.here, finding.got, finding.expected):
            text.encode()


TABLES: Final = {
    "ten million empty lines": lambda: b"\n" * 10_000_000,
    "ten million empty lines after the titles": lambda: (
        "Mã chỉ tiêu;Kỳ;Mã địa bàn;Giá trị\n".encode() + b"\n" * 10_000_000
    ),
    "ten million cells in a line": lambda: b";" * 10_000_000,
    "ten million quotes": lambda: b'"' * 10_000_000,
}


@pytest.mark.attack("hostile workbooks")
@pytest.mark.parametrize("name", TABLES)
def test_a_hostile_table_is_refused_with_words_and_soon(catalogue: dict[str, Any], plain: float, name: str) -> None:
    codec = catalogue["indicator/v1"].codec("chi-tieu-csv")
    spent, refused = cost(codec, TABLES[name]())
    assert refused is not None and refused.code == "message.invalid" and refused.findings
    assert spent < MANY * plain, f"{spent:.2f} s, and a plain workbook takes {plain:.2f} s"
