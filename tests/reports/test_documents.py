"""The documents of a report: the same bytes each time, the figures in each form, fonts that are embedded."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import docx
import openpyxl
import pypdf
import pytest

from contracts.base.words import Language
from gateway.reports import charts, store
from gateway.reports.content import Content
from gateway.reports.drawing import Wanted
from gateway.reports.figures import Column, Section, Table
from gateway.reports.forms import FORMS, document, file_name
from gateway.reports.periods import Period
from gateway.reports.store import Report
from gateway.scorecards.scoring import PARTS
from gateway.settings import Settings
from tests.journal.databases import migrated
from tests.reports import seeding

LANGUAGES: tuple[Language, ...] = ("vi", "en")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    engine = seeding.seeded(migrated("sqlite", tmp_path_factory.mktemp("month")), 600)
    settings = replace(
        Settings(tmp_path_factory.mktemp("reports")),
        report_superior="Ủy ban nhân dân tỉnh Cao Bằng",
        report_place="Cao Bằng",
        report_symbol="BC-TTGS",
        report_signer="Giám đốc",
    )
    wanted = Wanted(Period.of(seeding.NOW, seeding.MONTH))
    yield store.make(engine, settings, wanted, store.Making("lan", seeding.NOW))
    engine.dispose()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", FORMS)
def test_two_runs_give_the_same_bytes(report: Report, form: str, language: Language) -> None:
    first, second = (document(Content(report, language), form) for _ in range(2))  # type: ignore[arg-type]
    assert first == second and len(first) > 1000


def test_the_pdf_has_the_form_of_an_office_and_embedded_fonts(report: Report) -> None:
    content = Content(report, "vi")
    pdf = pypdf.PdfReader(io.BytesIO(document(content, "pdf")))
    text = " ".join(" ".join(page.extract_text() for page in pdf.pages).split())
    for part in (
        "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc", "/BC-TTGS", "GIÁM ĐỐC", "nhận:",
        "Cao Bằng, ngày 20 tháng 10 năm 2026", "tháng 9 năm 2026", "Lưu: VT.", report.id, report.digest.hex(),
    ):  # fmt: skip
        assert part in text, part
    for section in content.sections:
        assert f"{section.number}. {section.title}" in text
    fonts = {}
    for page in pdf.pages:
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            inner = font.get_object()["/DescendantFonts"][0].get_object()
            fonts[inner["/BaseFont"]] = inner["/FontDescriptor"].keys()
    assert fonts and all({"/FontFile2", "/FontFile3"} & set(keys) for keys in fonts.values())
    made = datetime.fromtimestamp(int(report.made), UTC)
    assert pdf.metadata is not None and pdf.metadata.creation_date is not None
    assert pdf.metadata.creation_date.date() == made.date()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sheets_have_the_figures_as_numbers(report: Report, language: Language) -> None:
    content = Content(report, language)
    raw = document(content, "xlsx")
    book = openpyxl.load_workbook(io.BytesIO(raw))
    cells = {tuple(cell.value for cell in row if cell.value is not None) for sheet in book for row in sheet.iter_rows()}
    for table in content.tables():
        for row in (*table.rows, *filter(None, [table.total])):
            assert tuple(cell for cell in row if cell is not None) in cells, table.title
    assert {content.sections[0].summary} in map(set, cells) and len(book.sheetnames) == len(content.sections) + 2
    made = datetime.fromtimestamp(report.made, UTC)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert {part.date_time[:5] for part in archive.infolist()} == {tuple(made.timetuple()[:5])}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_table_and_fact_names_its_query(report: Report, language: Language) -> None:
    content = Content(report, language)
    named = {
        query
        for section in report.figures.sections
        for query in (*(fact.query for fact in section.facts), *(table.query for table in section.tables))
    }
    assert len(content.sources) == len(named) and all(source.what and source.how for source in content.sources)
    assert content.said(report.figures.log.size) in content.log


def long_tables(report: Report) -> Content:
    """Tables of many lengths, so that their ends stand at many heights of a page."""
    columns = (Column("agency", "agency"), Column("transfers"))
    tables = [Table.of("agencies", "flows", columns, [("H14.2", 1)] * (5 + number)) for number in range(36)]
    sections = (Section("connections", report.figures.sections[0].facts, tuple(tables)),)
    return Content(replace(report, figures=replace(report.figures, sections=sections)), "en")


def test_a_total_of_the_pdf_is_on_the_page_of_the_row_before_it(report: Report) -> None:
    pages = pypdf.PdfReader(io.BytesIO(document(long_tables(report), "pdf"))).pages
    lines = [[line for line in page.extract_text().splitlines() if line.strip()] for page in pages]
    above = [page[at - 1] for page in lines for at, line in enumerate(page) if line.startswith("Total ")]
    assert len(above) == 36 and all(each.split()[0].isdigit() for each in above), above


def test_a_total_of_the_docx_is_kept_with_the_row_before_it(report: Report) -> None:
    tables = docx.Document(io.BytesIO(document(long_tables(report), "docx"))).tables
    totals = [each for each in tables if "Total" in each.cell(len(each.rows) - 1, 1).text]
    assert len(totals) == 36
    for table in totals:
        kept = [each.cells[0].paragraphs[0].paragraph_format.keep_with_next for each in table.rows]
        assert kept == [True, *[None] * (len(kept) - 3), True, None]


def test_charts_are_drawings_of_attributes_alone() -> None:
    lines = [charts.Line("<a>", [0, 3, 120]), charts.Line("b", [1, 0, 41])]
    for form in ("days", "bars"):
        svg = charts.drawn(form, "T & t", ["1", "<2>", "Ủy ban"], lines, str)
        root = ElementTree.fromstring(svg)
        assert root.attrib["aria-label"] == "T & t" and "style" not in svg
        rects = [each for each in root if each.tag.endswith("rect")]
        assert all(0 <= float(each.attrib["width"]) <= charts.WIDTH for each in rects)


def test_each_part_of_a_score_has_a_name(report: Report) -> None:
    content = Content(report, "vi")
    assert len({content.say(f"part.{part}") for part in PARTS}) == len(PARTS)


def test_names_of_files(report: Report) -> None:
    assert file_name(report, "pdf") == "report-2026-09.pdf"
