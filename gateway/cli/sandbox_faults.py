"""`lgsp sandbox fault`: what simulated systems do wrong, for everybody's calls or for one agency's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, failures_as_exits

if TYPE_CHECKING:
    from sqlalchemy import Engine

commands = typer.Typer(no_args_is_help=True, help="Faults that simulated systems show on demand.")


@commands.command("order")
def fault_order(
    kind: Annotated[str, typer.Argument(help="A kind of docs/sandbox.md, or `kind;seconds=N`.")],
    operation: Annotated[
        str, typer.Option("--operation", help="`field-report/v1 createRequest`, or a contract alone. Default: any.")
    ] = "",
    agency: Annotated[str, typer.Option("--agency", help="Whose calls. Default: everybody's.")] = "",
    system: Annotated[str, typer.Option("--system", help="The system that is called. Default: any.")] = "",
    calls: Annotated[int, typer.Option("--calls", min=0, max=1000, help="How many; 0: each, until reset.")] = 1,
    minutes: Annotated[int, typer.Option("--minutes", min=0, max=1440, help="When it ends by itself; 0: never.")] = 0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Order a fault. It takes the place of one for the same agency, system and operation."""
    from gateway.journal.database import snapshot, writing
    from gateway.registry.snapshot import load_snapshot
    from gateway.sandbox.vendors import ordering

    given: dict[str, Any] = {"operation": operation, "agency": agency, "system": system}
    name, _, seconds = kind.partition(";seconds=")
    given |= {"kind": name, "seconds": seconds, "calls": calls, "minutes": minutes}
    with _sandbox(data, as_json) as engine:
        with snapshot(engine) as connection:
            known = load_snapshot(connection)
        wanted = ordering.read(given, ordering.Orderer(actor(), None), known, time.time())
        with writing(engine) as connection:
            ordering.order(connection, wanted)
    shown = ordering.shown(wanted)
    emit({"ok": True, **shown}, as_json, f"{wanted.mark}  {wanted.kind}")


@commands.command("list")
def fault_list(data: Data = None, as_json: AsJson = False) -> None:
    """The orders, also those that are used up."""
    from gateway.journal.database import snapshot
    from gateway.sandbox.vendors import ordering

    now = time.time()
    with _sandbox(data, as_json) as engine, snapshot(engine) as connection:
        found = ordering.listed(connection, ordering.Orderer(actor(), None))
    lines = [
        f"{each.mark}  {each.kind}  {' '.join(filter(None, each.scope)) or '–'}  {each.taken}/{each.calls or '∞'}"
        f"{'' if each.holds(now) else '  used up / đã hết'}"
        for each in found
    ]
    orders = [{**ordering.shown(each), "holds": each.holds(now)} for each in found]
    emit({"ok": True, "faults": orders}, as_json, "\n".join(lines) or "none / chưa có")


@commands.command("reset")
def fault_reset(
    mark: Annotated[str | None, typer.Argument(help="The mark of one order. Default: all.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """End one order, or all of them."""
    from gateway.journal.database import writing
    from gateway.sandbox.vendors import ordering

    with _sandbox(data, as_json) as engine, writing(engine) as connection:
        ended = ordering.end(connection, ordering.Orderer(actor(), None), mark, time.time())
    if mark is not None and not ended:
        fail(
            Exit.NO,
            "unknown-fault",
            "no such order / không có lỗi đặt trước này",
            "`lgsp sandbox fault list` shows their marks. / `lgsp sandbox fault list` liệt kê.",
            as_json,
        )
    marks = [each.mark for each in ended]
    emit({"ok": True, "ended": marks}, as_json, "\n".join(f"{each}: ended / đã kết thúc" for each in marks) or "–")


@contextmanager
def _sandbox(data: Any, as_json: bool) -> Iterator[Engine]:
    from gateway.journal.database import open_engine

    settings = load_instance(data, as_json)
    if settings.kind != "sandbox":
        fail(
            Exit.NO,
            "sandbox-only",
            "only a sandbox has faults on demand / chỉ phiên bản thử nghiệm mới đặt được lỗi",
            "Use a sandbox. / Hãy dùng phiên bản thử nghiệm.",
            as_json,
        )
    with failures_as_exits(as_json):
        engine = open_engine(settings.database_url)
        try:
            yield engine
        finally:
            engine.dispose()
