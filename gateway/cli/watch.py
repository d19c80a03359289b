"""`lgsp watch`: alarms about component systems, and that somebody has taken notice of one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit

if TYPE_CHECKING:
    from gateway.watch.alarms import Alarm

commands = typer.Typer(no_args_is_help=True, help="What is wrong with systems: alarms.")


@commands.command("list")
def watch_list(
    data: Data = None,
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open alarms, those first that nobody has acknowledged."""
    from gateway.journal.database import open_engine
    from gateway.watch import alarms

    settings = load_instance(data, as_json)
    with open_engine(settings.database_url).connect() as connection:
        found = alarms.raised(connection, ended=ended)
    told = {"ok": True, "alarms": [each.to_json() for each in found]}
    emit(told, as_json, "\n".join(map(_line, found)) or "no alarms")


@commands.command("acknowledge")
def watch_acknowledge(
    alarm: Annotated[str, typer.Argument(help="The alarm.")],
    reason: Annotated[
        str, typer.Option("--reason", help="What is known and done, 10 characters or more; it stays in the log.")
    ],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Says that somebody has taken notice. The alarm stays open until what raised it is gone."""
    from gateway.journal.database import open_engine, writing
    from gateway.registry.snapshot import load_snapshot
    from gateway.watch import alarms

    settings, why = load_instance(data, as_json), arguments.reason_of(reason, as_json)
    with writing(open_engine(settings.database_url)) as connection:
        look = alarms.Look(load_snapshot(connection), time.time())
        found = alarms.acknowledge(connection, alarms.find(connection, alarm), (actor(), why), look)
    emit({"ok": True, "alarm": found.to_json()}, as_json, _line(found))


def _line(alarm: Alarm) -> str:
    from security.grants.windows import civil

    facts = "".join(f", {name} {value}" for name, value in alarm.facts.items())
    ended = "" if alarm.ended is None else f", over {civil(alarm.ended)}"
    by = "" if alarm.by is None else f", acknowledged by {alarm.by.partition(':')[0]}: {alarm.reason}"
    return f"{alarm.id}  {alarm.system}  {alarm.kind} since {civil(alarm.since)}{facts}{ended}{by}"
