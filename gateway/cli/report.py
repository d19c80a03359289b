"""`lgsp report`: reports of a month or another period, for the whole instance or one agency."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail, not_written

if TYPE_CHECKING:
    from gateway.reports.store import Report

commands = typer.Typer(no_args_is_help=True, help="Reports of a month or another period, as documents.")
_DAY = "A day in Vietnam, such as 2026-11-24."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The period and the agency."""

    month: Annotated[
        str | None, typer.Option("--month", help="Such as 2026-11; the month before without any period.")
    ] = None
    since: Annotated[str | None, typer.Option("--from", help=f"{_DAY} With --until, instead of a month.")] = None
    until: Annotated[str | None, typer.Option("--until", help="The last day.")] = None
    agency: Annotated[
        str | None, typer.Option("--agency", help="Code of the one agency that it is of; all without it.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The document."""

    form: Annotated[
        Literal["pdf", "docx", "xlsx", "json"] | None,
        typer.Option("--format", help="What is written; json: the figures alone."),
    ] = None
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; without it one in the current folder, named by the period.")
    ] = None
    language: Annotated[Literal["vi", "en"], typer.Option("--language", help="Of the document.")] = "vi"


@commands.command("make")
@grouped
def make(
    asked: Asked,
    written: Written,
    data: Data = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Draw the figures again, as another edition, though there is a report.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw the figures of a period, log them, and write the document. A report that is there is used again."""
    from gateway.cli.common.name_checks import refuse
    from gateway.journal.database import open_engine
    from gateway.registry.snapshot import load_snapshot
    from gateway.reports import store
    from gateway.reports.drawing import Wanted
    from gateway.reports.periods import BadPeriod, Period

    now = time.time()
    try:
        period = Period.of(now, asked.month or "", asked.since or "", asked.until or "")
    except BadPeriod as bad:
        what = "no such period, or it has not begun / kỳ báo cáo không hợp lệ hoặc chưa bắt đầu"
        fail(Exit.USAGE, "bad-period", what, f"Such as / Ví dụ: {bad}", as_json)
    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    if asked.agency is not None:
        with engine.connect() as connection:
            agencies = load_snapshot(connection).agencies
        if asked.agency not in agencies:
            refuse("agency", asked.agency, agencies, as_json)
    making = store.Making(actor(), now, anew)
    report = store.make(engine, settings, Wanted(period, asked.agency or ""), making)
    _give(report, written, as_json)


@commands.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """The reports that were made, newest first."""
    from gateway.journal.database import open_engine
    from gateway.reports import store

    settings = load_instance(data, as_json)
    with open_engine(settings.database_url).connect() as connection:
        found = store.listed(connection)
    lines = (
        f"{each.id}  {each.period.first} – {each.period.last}  {each.agency or '*':<10} {each.edition}"
        for each in found
    )
    result = {"ok": True, "reports": [each.to_json() for each in found]}
    emit(result, as_json, "\n".join(lines) or "no report was made yet / chưa có báo cáo nào")


@commands.command("show")
@grouped
def show(
    report: Annotated[str, typer.Argument(help="Id of a report, as `lgsp report list` shows it.")],
    written: Written,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """One report from its logged figures: the summary of each section, or the document with --format."""
    from gateway.journal.database import open_engine
    from gateway.reports import store

    settings = load_instance(data, as_json)
    with open_engine(settings.database_url).connect() as connection:
        found = store.find(connection, report)
    _give(found, written, as_json)


def _give(report: Report, written: Written, as_json: bool) -> NoReturn:
    """Writes the document, if one is asked for, and ends the command."""
    from gateway.reports.content import Content
    from gateway.reports.forms import document, file_name

    content = Content(report, written.language)
    told = {"ok": True, **report.listed.to_json(), "sha256": report.digest.hex(), "proof": report.proof}
    lines = [content.subject, *(f"{each.number}. {each.summary}" for each in content.sections), report.id]
    if written.form is not None or written.out is not None:
        form = written.form or "pdf"
        path = written.out or Path(file_name(report, form))
        try:
            path.write_bytes(document(content, form))
        except OSError as trouble:
            not_written(path, trouble, as_json)
        told["file"] = str(path)
        lines.append(str(path))
    emit(told, as_json, "\n".join(lines))
