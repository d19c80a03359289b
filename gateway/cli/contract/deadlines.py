"""`lgsp contract deadline`: when a deadline of a contract's workflow is due, with each minute counted and skipped."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import arguments
from gateway.cli.common.options import AsJson
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from contracts.workflow.model import Term, Workflow
    from contracts.workflow.working_time import Calendar, Deadline

commands = typer.Typer()


@commands.command("deadline")
def contract_deadline(
    folder: Path,
    state: Annotated[
        str | None, typer.Option("--state", help="The state whose deadline is asked for (default: that of the whole).")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="When it begins, such as 2026-11-27T08:00+07:00 (default: now).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """When a deadline of a contract's workflow is due: each stretch of time, whether it counts, and why not."""
    from contracts.compiled.contract import compile_bundle
    from contracts.folder.bundle import Bundle
    from contracts.workflow.working_time import deadline, minute_of

    at = time.time() if begin is None else arguments.moment(begin, as_json)
    workflow = compile_bundle(Bundle.from_folder(folder)).workflow
    if workflow is None:
        fail(
            Exit.USAGE,
            "no-workflow",
            f"the contract in {folder} has no workflow / hợp đồng này không có quy trình xử lý",
            "Add workflow.yaml (docs/contracts.md). / Thêm workflow.yaml (docs/contracts.md).",
            as_json,
        )
    term = _term(workflow, state, as_json)
    calendar = workflow.hours[term.hours]
    found = deadline(calendar, minute_of(at), term.minutes)
    emit(_result(calendar, term, found), as_json, "\n".join(_lines(calendar, term, found)))


def _term(workflow: Workflow, state: str | None, as_json: bool) -> Term:
    terms = {each.name: each.term for each in workflow.states.values() if each.term is not None}
    term = workflow.term if state is None else terms.get(state)
    if term is None:
        what = f"{state or 'the whole'} has no deadline / {state or 'toàn bộ quy trình'} không có thời hạn"
        fail(Exit.USAGE, "no-deadline", what, f"Say / Nêu: --state {' | '.join(terms) or '–'}", as_json)
    return term


def _result(calendar: Calendar, term: Term, found: Deadline) -> dict[str, Any]:
    return {
        "ok": True,
        "from": _local(calendar, found.start),
        "due": None if found.due is None else _local(calendar, found.due),
        "minutes": term.minutes,
        "hours": term.hours,
        "stretches": [
            {
                "from": _local(calendar, each.start),
                "until": _local(calendar, each.end),
                "minutes": each.minutes,
                "counted": each.counted,
                "why": each.why.value,
                "words": {"vi": each.told.vi, "en": each.told.en},
            }
            for each in found.stretches
        ],
    }


def _lines(calendar: Calendar, term: Term, found: Deadline) -> list[str]:
    lines = [
        f"{_local(calendar, each.start)} – {_local(calendar, each.end)}  {each.minutes:>6}  "
        f"{'+' if each.counted else ' '}  {each.told.vi} / {each.told.en}"
        for each in found.stretches
    ]
    title = f"{calendar.title.vi} / {calendar.title.en}"
    due = "–" if found.due is None else _local(calendar, found.due)
    return [*lines, f"{found.counted} / {term.minutes} min ({title})", f"đến hạn / due: {due}"]


def _local(calendar: Calendar, minute: int) -> str:
    zone = timezone(timedelta(minutes=calendar.offset))
    return datetime.fromtimestamp(minute * 60, UTC).astimezone(zone).isoformat(timespec="minutes")
