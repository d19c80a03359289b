"""`lgsp route list|explain|check`: who handles the messages of an operation, by kind, area and hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common.options import AsJson, At, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from gateway.registry.competence import CompetenceTable, Competent
    from gateway.registry.records import Route
    from gateway.registry.snapshot import Snapshot

commands = typer.Typer(no_args_is_help=True, help="Who handles alerts and reports: by kind, area and hour.")
Contract = Annotated[str, typer.Argument(help="The contract, such as incident-alert/v1.")]


@commands.command("list")
def route_list(contract: Contract, at: At = None, data: Data = None, as_json: AsJson = False) -> None:
    """The rules of a contract's handled operation, in the order in which they are tried."""
    from gateway.cli.access import past
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    with past.moment(settings, at, as_json) as stands:
        table = _table(load_snapshot(stands.registry), contract, as_json)
    rows = [_row(number, each) for number, each in enumerate(table.routes, 1)]
    lines = [
        f"{row['rule']:>3}  {row['when'] or 'all others / còn lại'}"
        f"  →  {', '.join(row['agencies']) or row['system']}  [{row['hours']}]"
        + (f"  outside / ngoài giờ: {', '.join(row['outside'])}" if row["outside"] else "")
        for row in rows
    ]
    none = "no rules: the centre handles all / chưa có tuyến: Trung tâm xử lý"
    result = {"contract": contract, "operation": table.workflow.operation, "rules": rows}
    emit({"ok": True, **result, "duty_desk": list(table.duty_desk)}, as_json, "\n".join(lines) or none)


@commands.command("explain")
def route_explain(
    contract: Contract,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Each kind of the message.")] = None,
    area: Annotated[list[str] | None, typer.Option("--area", help="Each area of the message.")] = None,
    at: At = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Which agencies handle a message of these kinds and areas at this moment, and why."""
    from contracts.base.times import rfc3339
    from gateway.cli.access import past
    from gateway.registry.competence import message_of
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    with past.moment(settings, at, as_json) as stands:
        snapshot, moment = load_snapshot(stands.registry), stands.at
    table = _table(snapshot, contract, as_json)
    flow = table.workflow
    values = {flow.kind: kind or []} | ({flow.area: area or []} if flow.area is not None else {})
    found = table.find(message_of(values), moment)
    lines = [_line(snapshot, each) for each in found]
    result = {"contract": contract, "operation": flow.operation, "at": rfc3339(moment)}
    emit({"ok": True, **result, "competent": [_competent(each) for each in found]}, as_json, "\n".join(lines))


@commands.command("check")
def route_check(contract: Contract, data: Data = None, as_json: AsJson = False) -> None:
    """What is weak: kinds and areas that only the duty desk handles, rules that never decide or clash."""
    from gateway.journal.database import open_engine, snapshot
    from gateway.registry.gaps import gaps
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    with snapshot(open_engine(settings.database_url)) as connection:
        registry = load_snapshot(connection)
    table = _table(registry, contract, as_json)
    found = gaps(registry.handled[contract], table)
    rows = [{"code": each.code, "vi": each.told.vi, "en": each.told.en} for each in found]
    lines = [f"{each.told.en} / {each.told.vi}" for each in found]
    nothing = "each kind and area has an agency / mỗi loại và địa bàn đều có cơ quan xử lý"
    emit({"ok": not found, "gaps": rows}, as_json, "\n".join(lines) or nothing)


def _table(snapshot: Snapshot, contract: str, as_json: bool) -> CompetenceTable:
    compiled = snapshot.handled.get(contract)
    flow = compiled.workflow if compiled is not None else None
    table = snapshot.competence(contract, flow.operation) if flow is not None else None
    if table is None:
        handled = sorted(snapshot.handled)
        what = f"{contract} has no workflow in force / {contract} chưa có quy trình xử lý"
        fail(Exit.USAGE, "no-workflow", what, f"Name one of / Nêu một trong: {', '.join(handled) or '–'}", as_json)
    return table


def _row(number: int, route: Route) -> dict[str, Any]:
    from gateway.registry.competence import hours_text

    when = "; ".join(f"{path} = {', '.join(values)}" for path, values in route.when.items())
    return {
        "rule": number,
        "when": when,
        "system": route.system or None,
        "agencies": list(route.agencies),
        "hours": hours_text(route.hours),
        "outside": list(route.outside),
    }


def _competent(each: Competent) -> dict[str, Any]:
    words = {"vi": each.told.vi, "en": each.told.en}
    return {
        "agency": each.agency,
        "why": each.why,
        "words": words,
        "rule": each.rule,
        "areas": list(each.areas),
        "instead": list(each.instead),
    }


def _line(snapshot: Snapshot, each: Competent) -> str:
    known = snapshot.agency(each.agency)
    name = known.name.vi if known is not None else ""
    areas = f"  {', '.join(each.areas)}" if each.areas else ""
    return f"{each.agency}  {name}{areas}\n    {each.told.en} / {each.told.vi}"
