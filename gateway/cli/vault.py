"""`lgsp vault`: what is kept, what is due, what is held."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from contracts.base.times import rfc3339
from gateway.cli.common import arguments, name_checks
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail
from gateway.cli.common.progress import progress as shown

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from gateway.keeper.retention.holds import Hold
    from gateway.keeper.retention.status import KeyLine
    from gateway.settings import Settings
    from gateway.vault.vault import Vault

commands = typer.Typer(no_args_is_help=True, help="The vault of bodies: what is kept, what is due, what is held.")
hold_commands = typer.Typer(no_args_is_help=True, help="Legal holds: what is under one outlives its retention.")
commands.add_typer(hold_commands, name="hold")
Reason = Annotated[
    str, typer.Option("--reason", help="Why, 10 characters or more; it stays in the log, so no personal data.")
]
_ROUNDS: Final = 3
_LOOK: Final = (
    "Is it right? Then `lgsp vault expire --clock-is-right`; else set it (NTP)."
    " / Đồng hồ đúng thì chạy lệnh này; sai thì chỉnh lại (NTP)."
)


@commands.command("status")
def vault_status(data: Data = None, as_json: AsJson = False) -> None:
    """Classes, days, keys, bodies, bytes, holds, and what is due when."""
    from gateway.journal.database import open_engine
    from gateway.keeper.retention import status as statuses
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    now, engine = time.time(), open_engine(settings.database_url)
    vault = _vault(settings, engine)
    kept = statuses.status(engine, vault)
    waiting, log = statuses.doubted(engine, vault, now)
    keys = [_key(line, now) for line in kept.keys]
    listed = [_hold(hold, count) for hold, count in kept.holds]
    classes: dict[str, list[KeyLine]] = {}
    for line in kept.keys:
        classes.setdefault(line.name.retention + (f" held by {line.name.hold}" if line.name.hold else ""), []).append(
            line
        )
    lines = [
        f"{name:<28} {len(some)} keys, {some[0].name.day} to {some[-1].name.day},"
        f" {sum(each.bodies for each in some)} bodies, "
        f"{sum(each.bytes for each in some)} bytes, next due {_first_due(some)}"
        for name, some in classes.items()
    ]
    lines += [
        f"hold {each['name']:<23} {each['state']:<9} {each['bodies']} bodies, since {_day(each['since'])}"
        for each in listed
    ]
    missing = [line.name.id for line in kept.keys if not line.stands and line.ended is None]
    lines += [f"KEY MISSING / THIẾU KHÓA: {', '.join(missing)}"] if missing else []
    if waiting:
        lines.append(
            f"CLOCK IN DOUBT / ĐỒNG HỒ KHÔNG CHẮC ĐÚNG: it says {civil(now)}, the log {civil(log)};"
            f" {waiting} keys wait. {_LOOK}"
        )
    lines.append(f"{kept.destroyed} keys are destroyed so far / đến nay đã hủy {kept.destroyed} khóa")
    clock_facts = {"now": rfc3339(now), "log": log, "doubted": bool(waiting), "waiting": waiting}
    emit(
        {
            "ok": not missing,
            "clock": clock_facts,
            "keys": keys,
            "holds": listed,
            "destroyed": kept.destroyed,
            "missing": missing,
        },
        as_json,
        "\n".join(lines),
    )


@commands.command("expire")
def vault_expire(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be destroyed.")] = False,
    clock_is_right: Annotated[
        bool,
        typer.Option(
            "--clock-is-right",
            help="You have looked: this host's time is right. It is logged, and stands for two days.",
        ),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Destroy the keys that are due. The keeper of a running instance does so by itself; without one it is done
    here."""
    from contracts.base.ids import new_id
    from gateway.journal.database import lock_of, open_engine, writing
    from gateway.keeper.retention import destruction
    from gateway.keeper.retention import status as statuses
    from gateway.transfer import lease as leases
    from security.grants.windows import civil, moment

    settings = load_instance(data, as_json)
    engine, now = open_engine(settings.database_url), time.time()
    vault = _vault(settings, engine)
    due = destruction.due(engine, vault, now)
    counts = {line.name.id: line for line in statuses.status(engine, vault).keys}
    due_keys = [
        {"key": each.name.id, "due": rfc3339(each.since), "bodies": counts[each.name.id].bodies} for each in due
    ]
    lines = [f"{each['key']:<34} due {civil(moment(str(each['due'])))}, {each['bodies']} bodies" for each in due_keys]
    if dry_run:
        emit(
            {"ok": True, "due": due_keys, "destroyed": []},
            as_json,
            "\n".join(lines) or "nothing is due / chưa có gì đến hạn",
        )
    if clock_is_right:
        statuses.confirm_clock(engine, vault.keys, now, actor())
    waiting, log = statuses.doubted(engine, vault, now)
    with writing(engine) as connection:
        lease = leases.take(connection, f"command-{new_id()}", now, seconds=60.0)
    if lease is None and clock_is_right:
        text = "the keeper takes your word at its next look / tiến trình giữ nhật ký sẽ theo xác nhận này ở lần xem tới"
        emit({"ok": True, "due": due_keys, "destroyed": []}, as_json, text)
    if lease is None:
        what = (
            "a keeper leads: it destroys what is due by itself"
            " / tiến trình giữ nhật ký đang chạy và tự hủy khóa đến hạn"
        )
        then = (
            "See `lgsp vault status`; retention_seconds says how often it looks."
            " / Xem `lgsp vault status`; retention_seconds là khoảng cách giữa hai lần xem."
        )
        fail(Exit.NO, "keeper-leads", what, then, as_json)
    if waiting:
        with writing(engine) as connection:
            leases.give_back(connection, lease)
        what = (
            f"the clock says {civil(now)}, the log {civil(log)}: nothing is destroyed"
            " / đồng hồ không chắc đúng, chưa hủy gì"
        )
        fail(Exit.NO, "clock-in-doubt", what, _LOOK, as_json)
    try:
        work = destruction.Retention(engine, lock_of(engine), vault, time.time, copy_days=settings.vault_backup_days)
        for _ in range(_ROUNDS):
            work.look(lease, now)
            if not work.run(lease, now):
                break
    finally:
        with writing(engine) as connection:
            leases.give_back(connection, lease)
    left = {each.name.id for each in destruction.due(engine, vault, now)}
    gone = [each for each in due_keys if each["key"] not in left]
    text = "\n".join(
        [*lines, f"{len(gone)} keys destroyed, {len(left)} wait / đã hủy {len(gone)} khóa, còn {len(left)} khóa chờ"]
    )
    emit({"ok": True, "due": due_keys, "destroyed": [each["key"] for each in gone]}, as_json, text)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Covered:
    """What a hold covers."""

    transfer: Annotated[
        list[str] | None, typer.Option("--transfer", help="A transfer by its id; may be given again.")
    ] = None
    agency: Annotated[
        str | None, typer.Option("--agency", help="Transfers of this agency, as caller or as provider.")
    ] = None
    contract: Annotated[
        str | None, typer.Option("--contract", help="Transfers of this contract, such as incident-alert/v1.")
    ] = None
    begins: Annotated[
        str | None, typer.Option("--from", help="From this day or moment on (2026-11-01, time in Vietnam).")
    ] = None
    ends: Annotated[
        str | None,
        typer.Option("--to", help="Until this day, meant as a whole, or before this moment; open without it."),
    ] = None


@hold_commands.command("add")
@grouped
def hold_add(
    name: Annotated[
        str, typer.Argument(help="Small letters, digits, hyphens; never used twice, not even after a release.")
    ],
    reason: Reason,
    covered: Covered,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put a hold in place, and bring what it covers under its own keys."""
    from sqlalchemy import select

    from gateway.journal.database import lock_of, open_engine, writing
    from gateway.journal.schema import tables
    from gateway.keeper.retention import holds
    from gateway.keeper.retention.holds import Hold
    from gateway.keeper.retention.rows import Bodies

    settings = load_instance(data, as_json)
    engine, now = open_engine(settings.database_url), time.time()
    vault = _vault(settings, engine)
    agency, contract = covered.agency, covered.contract
    hold = Hold(
        name=name,
        reason=reason.strip(),
        actor=actor(),
        since=now,
        transfers=_transfers(covered, as_json),
        agency=agency,
        contract=contract,
        begins=None if covered.begins is None else arguments.moment(covered.begins, as_json),
        ends=None if covered.ends is None else arguments.moment(covered.ends, as_json, whole_day=True),
    )
    holds.check(hold)
    with engine.connect() as connection:
        for what, value, alone in (
            ("agency", agency, Hold(name, reason, "", now, agency=agency)),
            ("contract", contract, Hold(name, reason, "", now, contract=contract)),
        ):
            if value is None or value in (names := name_checks.names(connection, what)):
                continue
            if connection.scalar(select(tables.transfer.c.id).where(alone.covers()).limit(1)) is None:
                name_checks.refuse(what, value, names, as_json)
    with writing(engine) as connection:
        count = holds.add(connection, hold)
    with shown(as_json, None) as progress:
        task = progress.add_task("0 bodies")
        holds.seal_again(
            Bodies(engine, lock_of(engine), vault, lambda connection: None),
            hold,
            now,
            lambda done: progress.update(task, description=f"{done} bodies"),
        )
    with engine.connect() as connection:
        bodies, others = holds.held_bodies(connection, name), holds.held_by_others(connection, hold)
    english, vietnamese = _span(hold)
    lines = [
        f"hold {name}: {count} transfers, {bodies} bodies are under its own keys{english}"
        f" / lệnh lưu giữ {name}: {count} giao dịch, {bodies} nội dung đã niêm phong bằng khóa riêng{vietnamese}"
    ]
    if others:
        lines.append(
            f"{others} bodies are under keys of holds that cover them already, and pass under its own before those"
            " are destroyed"
            f" / {others} nội dung đã nằm dưới khóa của lệnh khác; trước khi khóa đó bị hủy sẽ được chuyển sang khóa"
            " của lệnh này"
        )
    emit(
        {"ok": True, "hold": name, "transfers": count, "bodies": bodies, "under_other_holds": others},
        as_json,
        "\n".join(lines),
    )


@hold_commands.command("release")
def hold_release(name: str, reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """End a hold: what it held is due by its own day and class again."""
    from gateway.journal.database import open_engine, writing
    from gateway.keeper.retention import holds

    settings = load_instance(data, as_json)
    with writing(open_engine(settings.database_url)) as connection:
        count = holds.release(connection, name, reason.strip(), actor(), time.time())
    text = (
        f"hold {name} is released: {count} bodies are due by their own day and class; the keeper destroys what is"
        " past it"
        f" / đã kết thúc lệnh lưu giữ {name}: {count} nội dung trở lại thời hạn riêng; hết hạn thì cổng trao đổi dữ"
        " liệu tự hủy"
    )
    emit({"ok": True, "hold": name, "bodies": count}, as_json, text)


@hold_commands.command("list")
def hold_list(data: Data = None, as_json: AsJson = False) -> None:
    """All holds, also those that ended."""
    from gateway.journal.database import open_engine
    from gateway.keeper.retention import holds

    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        rows = [
            {
                **_hold(hold, holds.held_bodies(connection, hold.name)),
                "under_other_holds": holds.held_by_others(connection, hold),
            }
            for hold in holds.every(connection)
        ]
    lines = [
        (
            f"{each['name']:<24} {each['state']:<9} {each['bodies']} bodies{_beside(each)}, since"
            f" {_day(each['since'])}: {each['reason']}"
        )
        for each in rows
    ]
    emit({"ok": True, "holds": rows}, as_json, "\n".join(lines) or "no holds / không có lệnh lưu giữ")


def _transfers(covered: Covered, as_json: bool) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(arguments.transfer_id(each, as_json) for each in covered.transfer or ())) or None


def _vault(settings: Settings, engine: Engine) -> Vault:
    from gateway.vault.stores import open_vault

    return open_vault(settings, engine)


def _key(line: KeyLine, now: float) -> dict[str, Any]:
    due = line.name.due
    return {
        "key": line.name.id,
        "day": line.name.day.isoformat(),
        "class": line.name.retention,
        "hold": line.name.hold,
        "stands": line.stands,
        "destroyed": line.ended,
        "bodies": line.bodies,
        "bytes": line.bytes,
        "copies": line.copies,
        "due": None if due is None or line.held else rfc3339(due),
        "overdue": due is not None and not line.held and due < now,
    }


def _first_due(lines: list[KeyLine]) -> str:
    from security.grants.windows import civil

    due = [line.name.due for line in lines if line.name.due is not None and not line.held]
    return civil(min(due))[:10] if due else "never, while it is held"


def _beside(hold: dict[str, Any]) -> str:
    others = hold["under_other_holds"] if hold["released"] is None else 0
    return f" (+ {others} under other holds / dưới lệnh khác)" if others else ""


def _day(at: str) -> str:
    """The day in Vietnam."""
    from security.grants.windows import civil, moment

    return civil(moment(at))[:10]


def _span(hold: Hold) -> tuple[str, str]:
    """From when until when it holds, as people here read it; the end is the first moment that is not held."""
    from security.grants.windows import civil

    bounds = [("from", "từ", hold.begins), ("until before", "trước", hold.ends)]
    english = " ".join(f"{word} {civil(at)}" for word, _, at in bounds if at is not None)
    vietnamese = " ".join(f"{word} {civil(at)}" for _, word, at in bounds if at is not None)
    return (f"; {english}", f"; {vietnamese}") if english else ("", "")


def _hold(hold: Hold, count: int) -> dict[str, Any]:
    return {
        "name": hold.name,
        "state": "in force" if hold.released is None else "released",
        "reason": hold.reason,
        "actor": hold.actor,
        "since": rfc3339(hold.since),
        "released": rfc3339(hold.released) if hold.released is not None else None,
        "bodies": count,
        "complete": hold.sealed is not None,
        **hold.facts(),
    }
