"""`lgsp watch`: alarms about systems, findings of the gateway itself, who was told, who has taken notice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.language import either
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from gateway.watch.alarms import Alarm
    from gateway.watch.findings import Standing

commands = typer.Typer(no_args_is_help=True, help="What is wrong with systems and with the gateway: alarms, findings.")


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
    emit(told, as_json, "\n".join(map(_line, found)) or either("no alarms", "không có cảnh báo"))


@commands.command("acknowledge")
def watch_acknowledge(
    alarm: Annotated[str, typer.Argument(help="The alarm or finding.")],
    reason: Annotated[
        str, typer.Option("--reason", help="What is known and done, 10 characters or more; it stays in the log.")
    ],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Says that somebody has taken notice. The alarm stays open until what raised it is gone."""
    from contracts.base.errors import Failure
    from gateway.journal.database import open_engine, writing
    from gateway.registry.snapshot import load_snapshot
    from gateway.watch import alarms, findings
    from gateway.watch.errors import ALARM_UNKNOWN

    settings, why = load_instance(data, as_json), arguments.reason_of(reason, as_json)
    standing = None
    with writing(open_engine(settings.database_url)) as connection:
        try:
            standing = findings.find(connection, alarm)
            standing = findings.acknowledge(connection, standing, findings.Taken(time.time(), actor(), why))
        except Failure as failure:
            if failure.type is not ALARM_UNKNOWN:
                raise
    if standing is not None:
        emit({"ok": True, "finding": standing.to_json()}, as_json, _finding(standing))
    with writing(open_engine(settings.database_url)) as connection:
        look = alarms.Look(load_snapshot(connection), time.time())
        found = alarms.acknowledge(connection, alarms.find(connection, alarm), (actor(), why), look)
    emit({"ok": True, "alarm": found.to_json()}, as_json, _line(found))


@commands.command("findings")
def watch_findings(
    data: Data = None,
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over.")] = False,
    as_json: AsJson = False,
) -> None:
    """What operators are told: findings and alarms that stand, since when, and who was told."""
    from contracts.base.times import rfc3339
    from gateway.journal.database import open_engine
    from gateway.notices import store
    from gateway.watch import findings, operators

    settings = load_instance(data, as_json)
    with open_engine(settings.database_url).connect() as connection:
        found, notices = findings.standing(connection, ended=ended), store.to_operators(connection)
    to = operators.receivers(settings)
    told = [
        {
            "id": each.id,
            "to": to.get(each.system, "-"),
            "made": rfc3339(each.made),
            "state": each.state,
            "tries": each.tries,
            "failure": each.failure,
        }
        for each in notices
    ]
    lines = [_finding(each) for each in found] or ["nothing stands / không có gì"]
    lines += [f"{each['made']}  {each['to']}: {each['state']} {each['failure'] or ''}".rstrip() for each in told]
    if not to:
        lines.append("nobody is told: set alarm_mail or alarm_url / chưa ai được báo: đặt alarm_mail hoặc alarm_url")
    result = {"ok": True, "findings": [each.to_json() for each in found], "receivers": [*to.values()], "notices": told}
    emit(result, as_json, "\n".join(lines))


@commands.command("test")
def watch_test(
    data: Data = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for the answers of the receivers.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Have the leading keeper send a test to each receiver of alarms; ends with 1 unless all took it."""
    from gateway.journal.database import open_engine, writing
    from gateway.notices import store
    from gateway.watch import operators

    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    with writing(engine) as connection:
        put = dict(operators.put_test(connection, settings, time.time()))
    if not put:
        what = "no receiver is set / chưa đặt nơi nhận nào"
        then = "Set alarm_mail (with mail_server) or alarm_url. / Đặt một trong các thiết lập đó."
        fail(Exit.NO, "no-receivers", what, then, as_json)
    end = time.monotonic() + wait
    while True:
        with engine.connect() as connection:
            found = store.found(connection, list(put))
        if all(each.state != store.WAITING or each.tries for each in found) or time.monotonic() > end:
            break
        time.sleep(0.2)
    results = [
        {"to": put[each.id], "id": each.id, "taken": each.state == store.SENT, "failure": each.failure}
        for each in found
    ]
    lines = [
        f"{each['to']}: " + ("taken / đã nhận" if each["taken"] else f"{each['failure'] or 'no keeper sent it yet'}")
        for each in results
    ]
    emit({"ok": all(each["taken"] for each in results), "receivers": results}, as_json, "\n".join(lines))


def _finding(one: Standing) -> str:
    from security.grants.windows import civil

    mark = f"{either('GRAVE', 'NGHIÊM TRỌNG')} " if one.grave else ""
    where = " ".join(filter(None, (one.code, one.about, one.machine)))
    told = "" if one.told is None else f", {either('told', 'đã báo')} {civil(one.told)}"
    ended = "" if one.ended is None else f", {either('over', 'hết')} {civil(one.ended)}"
    by = (
        ""
        if one.by is None
        else f", {either('acknowledged by', 'đã tiếp nhận:')} {one.by.partition(':')[0]}: {one.reason}"
    )
    flaps = f", {either('flapping', 'chập chờn')}" if one.flapping else ""
    said = either(one.said["en"]["what"], one.said["vi"]["what"])
    return f"{one.id}  {mark}{where} {either('since', 'từ')} {civil(one.since)}{flaps}{told}{ended}{by}\n    {said}"


def _line(alarm: Alarm) -> str:
    from security.grants.windows import civil

    facts = "".join(f", {name} {value}" for name, value in alarm.facts.items())
    ended = "" if alarm.ended is None else f", {either('over', 'hết')} {civil(alarm.ended)}"
    by = (
        ""
        if alarm.by is None
        else f", {either('acknowledged by', 'đã tiếp nhận:')} {alarm.by.partition(':')[0]}: {alarm.reason}"
    )
    return f"{alarm.id}  {alarm.system}  {alarm.kind} {either('since', 'từ')} {civil(alarm.since)}{facts}{ended}{by}"
