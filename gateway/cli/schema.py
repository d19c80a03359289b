"""`lgsp schema`: the database for an older program."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, failed, failures_as_exits

commands = typer.Typer(no_args_is_help=True, help="The schema of the database, for an older program.")


@commands.callback()
def _group() -> None:
    """A group, also while it has one command."""


@commands.command("back")
def schema_back(
    release: Annotated[str, typer.Argument(help="The older release that is to start, such as 0.2.0.")],
    data: Data = None,
    reason: Annotated[
        str, typer.Option("--reason", help="Do it, and why; it goes into the log. Without it, what would be lost.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Bring the schema of a stopped instance back to that of an older release. What was added since is dropped; it is
    counted, and logged. Not needed for a release that the database serves."""
    from gateway.backup.schema_back import LATER_SETTINGS, bring_back, planned, to_take_out
    from gateway.cli.run import alone
    from gateway.console.site.page import checked_reason
    from gateway.journal import releases
    from gateway.journal.database import open_engine
    from gateway.processes.supervised import NotStarted

    settings = load_instance(data, as_json)
    if release not in releases.HEADS:
        known = ", ".join(releases.HEADS)
        what = f"the schema is brought back to a release before: {known} / chỉ lùi được về: {known}"
        fail(Exit.USAGE, "unknown-release", what, "Name one of them. / Chọn một bản phát hành.", as_json)
    engine = open_engine(settings.database_url)
    try:
        with failures_as_exits(as_json):
            take_out = to_take_out(settings, engine, release)
            if not reason:
                done = planned(engine, release)
            else:
                with alone(settings):
                    done = bring_back(engine, release, checked_reason(reason), time.time(), actor())
    except NotStarted as trouble:
        failed(Exit.USAGE, trouble, as_json)
    finally:
        engine.dispose()
    head = f"{done.found} → {done.to} ({release})"
    if done.found == done.to:
        lines = [f"{head}: was done before / đã lùi từ trước"]
    else:
        lines = [f"{head}: done / đã lùi" if reason else f"{head}: would lose / sẽ mất"]
    lines += [f"  {name}: {rows} rows / dòng" for name, rows in done.lost.items()]
    if take_out:
        names = ", ".join(take_out)
        lines.append(f"take out of settings.yaml of this machine / bỏ khỏi settings.yaml của máy này: {names}")
    lines.append(
        f"other machines have settings of their own; {release} refuses these / các máy khác có thiết lập riêng;"
        f" {release} không nhận: {', '.join(LATER_SETTINGS[release])}"
    )
    lines.append(
        f"{release} reads only contracts without anything newer: if it ends with contract.invalid, start this program"
        f" again / {release} chỉ đọc được hợp đồng không có gì mới hơn: nếu nó dừng với contract.invalid, hãy khởi động"
        " lại chương trình này"
    )
    result = {"ok": True, "done": bool(reason), **asdict(done), "take_out": take_out}
    emit(result, as_json, "\n".join(lines))
