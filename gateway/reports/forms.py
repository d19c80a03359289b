"""The forms of a report as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from gateway.exchange.feed_tables import MEDIA as TABLES
from gateway.reports.content import Content
from gateway.reports.store import Report

Form = Literal["pdf", "docx", "xlsx", "json"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
MEDIA: Final[Mapping[Form, str]] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": TABLES["xlsx"],
    "json": "application/json",
}


def document(content: Content, form: Form) -> bytes:
    """Loads what the form needs."""
    if form == "json":
        return content.report.raw
    if form == "xlsx":
        from gateway.reports import spreadsheet

        return spreadsheet.write(content)
    if form == "docx":
        from gateway.reports import letter

        return letter.write(content)
    from gateway.reports import pdf

    return pdf.write(content)


def file_name(report: Report, form: Form) -> str:
    """Such as `report-2026-11.pdf`, with the agency and a later edition."""
    figures, period = report.figures, report.listed.period
    days = figures.first[:7] if period.is_month else f"{figures.first}--{figures.last}"
    edition = f"-{figures.edition}" if figures.edition > 1 else ""
    return f"report-{days}{f'-{figures.agency}' if figures.agency else ''}{edition}.{form}"
