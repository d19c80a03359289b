"""Documents of reports whose names were chosen by somebody hostile: nothing is run, nothing breaks, and each form has
the same figures."""

from __future__ import annotations

import io
import re
import zipfile

import docx
import openpyxl
import pypdf
import pytest
from lxml import etree

from contracts.base.words import Words
from gateway.reports.content import Content
from gateway.reports.figures import Chart, Column, Fact, Figures, Letter, Log, Names, Section, Series, Table
from gateway.reports.forms import document
from gateway.reports.store import Report

LONGEST = 500  # characters of a name in the registry
NAMES = {
    "typst": '#read("/etc/passwd") *b* $x$ `c` <l> @ref #sys.inputs \\ #{1+1} // c /*',
    "jinja": "{{ 7*7 }} {% for x in range(9) %}{{r x}}{{p x}}{# #} {%tr %}",
    "word": "</w:t></w:r><w:r/> ]]> &amp; <script>alert(1)</script>",
    "formula": "=cmd|' /C calc'!A0",
    "signs": "+1+1 -2+3 @SUM(1)",
    "controls": "a\x00\x01\x08\x0b\x0c\x0e\x1f\x7f\x85\ufffe\uffffb",
    "turned": "\u202egnort\u2066x\u2069 \u200f\u061c",
    "no glyph": "公司 👨‍👩‍👧 \ue000 \U0010ffff שלום",
    "marks": "e" + "\u0323\u0302" * 100,
    "long": "Ủy ban " * (LONGEST // 7),
    "one word": "W" * LONGEST,
}
FACTS = ("transfers", "done", "failed", "doubtful", "open", "repeats", "read", "supplied", "received")
NUMBERS = (70_007, 6_006, 505)


def report(name: str) -> Report:
    both = Words(name, name)
    columns = (Column("agency", "agency"), Column("contract", "contract"), Column("transfers"))
    table = Table.of("supply", "flows", columns, [("H14.2", "c/v1", each) for each in NUMBERS])
    chart = Chart("agencies", "bars", "agency", ("H14.2",), (Series("supplied", (3,)),))
    figures = Figures(
        first="2026-09-01",
        last="2026-09-30",
        agency="H14.2",
        edition=1,
        drawn="2026-10-20T00:00:00.000Z",
        log=Log("localhost/lgsp", 5),
        registry=1,
        letter=Letter(both, name, name, name, name, "https://gateway.example/"),
        names=Names({"H14.2": both}, {}, {"c/v1": both}, {}, {}),
        sections=(Section("exchange", tuple(Fact(each, 7, "flows") for each in FACTS), (table,), (chart,)),),
    )
    return Report("01935b6e-0000-7000-8000-000000000001", 1_792_000_000.0, figures, figures.encoded(), bytes(32))


@pytest.mark.attack("markup in documents")
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_breaks_no_form_and_runs_in_none(name: str) -> None:
    content = Content(report(name), "vi")
    letter, book = docx.Document(io.BytesIO(document(content, "docx"))), document(content, "xlsx")
    shown = content.agency
    assert shown == re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", name)
    (table,) = [each for each in letter.tables if len(each.columns) == 4]
    cells = [[cell.text for cell in row.cells] for row in table.rows]
    assert [row[3] for row in cells[1:]] == ["70.007", "6.006", "505", "76.518"]
    assert {row[1] for row in cells[1:4]} == {content.said(shown)}
    for part in ("xl/workbook.xml", *(f"xl/worksheets/sheet{number}.xml" for number in (1, 2, 3))):
        raw = zipfile.ZipFile(io.BytesIO(book)).read(part)
        assert not [each for each in etree.fromstring(raw).iter() if etree.QName(each).localname in ("f", "hyperlink")]
    rows = [row for sheet in openpyxl.load_workbook(io.BytesIO(book)) for row in sheet.iter_rows(values_only=True)]
    assert [row[3] for row in rows if len(row) == 4 and isinstance(row[3], int)] == [*NUMBERS, sum(NUMBERS)]
    pdf = pypdf.PdfReader(io.BytesIO(document(content, "pdf")))
    text = " ".join(" ".join(page.extract_text() for page in pdf.pages).split())
    assert all(each in text for each in ("70.007", "6.006", "505", "76.518"))
    assert not [key for page in pdf.pages for key in page if key in ("/AA", "/JS", "/Annots")]
