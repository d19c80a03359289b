"""`lgsp vault`: what is kept, what is due, what is held."""

from __future__ import annotations

import time
from typing import Any, Final

from sqlalchemy import Engine, select

from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from gateway.commands import given, known
from gateway.commands.actor import actor
from gateway.commands.output import Exit, emit, fail
from gateway.commands.progress import progress as shown
from gateway.journal.append import append
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.schema import tables
from gateway.keeper.retention import clock, destruction, holds
from gateway.keeper.retention import status as statuses
from gateway.keeper.retention.holds import Hold
from gateway.keeper.retention.status import KeyLine
from gateway.keys.key_encryption import AtRest
from gateway.settings import Settings
from gateway.transfer import lease as leases
from gateway.vault.vault import Vault
from security.grants.windows import civil, moment

_ROUNDS: Final = 3
_LOOK: Final = "Is it right? Then `lgsp vault expire --clock-is-right`; else set it (NTP). / Đồng hồ đúng thì chạy lệnh này; sai thì chỉnh lại (NTP)."


def status(settings: Settings, as_json: bool) -> None:
    now, engine, vault = time.time(), open_engine(settings.database_url), _vault(settings)
    found = statuses.status(engine, vault)
    waiting, log = _doubted(engine, vault, now)
    keys = [_key(line, now) for line in found.keys]
    listed = [_hold(hold, count) for hold, count in found.holds]
    classes: dict[str, list[KeyLine]] = {}
    for line in found.keys:
        classes.setdefault(line.name.retention + (f" held by {line.name.hold}" if line.name.hold else ""), []).append(
            line
        )
    lines = [
        f"{name:<28} {len(some)} keys, {some[0].name.day} to {some[-1].name.day}, {sum(each.bodies for each in some)} bodies, "
        f"{sum(each.bytes for each in some)} bytes, next due {_first_due(some)}"
        for name, some in classes.items()
    ]
    lines += [
        f"hold {each['name']:<23} {each['state']:<9} {each['bodies']} bodies, since {_day(each['since'])}"
        for each in listed
    ]
    missing = [line.name.id for line in found.keys if not line.stands and line.ended is None]
    lines += [f"KEY MISSING / THIẾU KHÓA: {', '.join(missing)}"] if missing else []
    if waiting:
        lines.append(
            f"CLOCK IN DOUBT / ĐỒNG HỒ KHÔNG CHẮC ĐÚNG: it says {civil(now)}, the log {civil(log)}; {waiting} keys wait. {_LOOK}"
        )
    lines.append(f"{found.destroyed} keys are destroyed so far / đến nay đã hủy {found.destroyed} khóa")
    told = {"now": rfc3339(now), "log": log, "doubted": bool(waiting), "waiting": waiting}
    emit(
        {
            "ok": not missing,
            "clock": told,
            "keys": keys,
            "holds": listed,
            "destroyed": found.destroyed,
            "missing": missing,
        },
        as_json,
        "\n".join(lines),
    )


def expire(settings: Settings, dry_run: bool, as_json: bool, clock_is_right: bool = False) -> None:
    engine, vault, now = open_engine(settings.database_url), _vault(settings), time.time()
    due = destruction.due(engine, vault, now)
    counts = {line.name.id: line for line in statuses.status(engine, vault).keys}
    told = [{"key": each.name.id, "due": rfc3339(each.since), "bodies": counts[each.name.id].bodies} for each in due]
    lines = [f"{each['key']:<34} due {civil(moment(str(each['due'])))}, {each['bodies']} bodies" for each in told]
    if dry_run:
        emit(
            {"ok": True, "due": told, "destroyed": []},
            as_json,
            "\n".join(lines) or "nothing is due / chưa có gì đến hạn",
        )
    with writing(engine) as connection:
        if clock_is_right:
            append(connection, [holds.note("retention-clock", {"now": rfc3339(now)}, now, actor())])
    if clock_is_right:
        clock.confirm(settings.vault_keys, now)
    waiting, log = _doubted(engine, vault, now)
    with writing(engine) as connection:
        lease = leases.take(connection, f"command-{new_id()}", now, seconds=60.0)
    if lease is None and clock_is_right:
        text = "the keeper takes your word at its next look / tiến trình giữ nhật ký sẽ theo xác nhận này ở lần xem tới"
        emit({"ok": True, "due": told, "destroyed": []}, as_json, text)
    if lease is None:
        what = "a keeper leads: it destroys what is due by itself / tiến trình giữ nhật ký đang chạy và tự hủy khóa đến hạn"
        then = "See `lgsp vault status`; retention_seconds says how often it looks. / Xem `lgsp vault status`; retention_seconds là khoảng cách giữa hai lần xem."
        fail(Exit.NO, "keeper-leads", what, then, as_json)
    if waiting:
        with writing(engine) as connection:
            leases.give_back(connection, lease)
        what = f"the clock says {civil(now)}, the log {civil(log)}: nothing is destroyed / đồng hồ không chắc đúng, chưa hủy gì"
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
    gone = [each for each in told if each["key"] not in left]
    text = "\n".join(
        [*lines, f"{len(gone)} keys destroyed, {len(left)} wait / đã hủy {len(gone)} khóa, còn {len(left)} khóa chờ"]
    )
    emit({"ok": True, "due": told, "destroyed": [each["key"] for each in gone]}, as_json, text)


def hold_add(
    settings: Settings,
    name: str,
    reason: str,
    transfers: list[str] | None,
    agency: str | None,
    contract: str | None,
    begins: str | None,
    ends: str | None,
    as_json: bool,
) -> None:
    engine, vault, now = open_engine(settings.database_url), _vault(settings), time.time()
    hold = Hold(
        name,
        reason.strip(),
        actor(),
        now,
        tuple(dict.fromkeys(given.transfer_id(each, as_json) for each in transfers)) if transfers else None,
        agency,
        contract,
        None if begins is None else given.moment(begins, as_json),
        None if ends is None else given.moment(ends, as_json, whole_day=True),
    )
    holds.check(hold)
    with engine.connect() as connection:
        for what, value, alone in (
            ("agency", agency, Hold(name, reason, "", now, agency=agency)),
            ("contract", contract, Hold(name, reason, "", now, contract=contract)),
        ):
            if value is None or value in (names := known.names(connection, what)):
                continue
            if connection.scalar(select(tables.transfer.c.id).where(alone.covers()).limit(1)) is None:
                known.refuse(what, value, names, as_json)
    with writing(engine) as connection:
        count = holds.add(connection, hold)
    with shown(as_json, None) as progress:
        task = progress.add_task("0 bodies")
        holds.seal_again(
            engine,
            lock_of(engine),
            vault,
            lambda connection: None,
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
            f"{others} bodies are under keys of holds that cover them already, and pass under its own before those are destroyed"
            f" / {others} nội dung đã nằm dưới khóa của lệnh khác; trước khi khóa đó bị hủy sẽ được chuyển sang khóa của lệnh này"
        )
    emit(
        {"ok": True, "hold": name, "transfers": count, "bodies": bodies, "under_other_holds": others},
        as_json,
        "\n".join(lines),
    )


def hold_release(settings: Settings, name: str, reason: str, as_json: bool) -> None:
    with writing(open_engine(settings.database_url)) as connection:
        count = holds.release(connection, name, reason.strip(), actor(), time.time())
    text = (
        f"hold {name} is released: {count} bodies are due by their own day and class; the keeper destroys what is past it"
        f" / đã kết thúc lệnh lưu giữ {name}: {count} nội dung trở lại thời hạn riêng; hết hạn thì trục tự hủy"
    )
    emit({"ok": True, "hold": name, "bodies": count}, as_json, text)


def hold_list(settings: Settings, as_json: bool) -> None:
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        found = [
            {
                **_hold(hold, holds.held_bodies(connection, hold.name)),
                "under_other_holds": holds.held_by_others(connection, hold),
            }
            for hold in holds.every(connection)
        ]
    lines = [
        f"{each['name']:<24} {each['state']:<9} {each['bodies']} bodies{_beside(each)}, since {_day(each['since'])}: {each['reason']}"
        for each in found
    ]
    emit({"ok": True, "holds": found}, as_json, "\n".join(lines) or "no holds / không có lệnh lưu giữ")


# --- small parts ------------------------------------------------------------------------------------------------------


def _doubted(engine: Engine, vault: Vault, now: float) -> tuple[int, str]:
    """How many keys are due by a clock that neither the log, nor an authority, nor a person speaks for; and the log's own time."""
    with engine.connect() as connection:
        vouched, log = clock.confirmed(connection, vault.keys.folder, now), clock.words(clock.newest(connection))
    return 0 if vouched else len(destruction.due(engine, vault, now)), log


def _vault(settings: Settings) -> Vault:
    return Vault(settings.vault_keys, at_rest=AtRest.of(settings), copies=settings.vault_copies)


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
    due = [line.name.due for line in lines if line.name.due is not None and not line.held]
    return civil(min(due))[:10] if due else "never, while it is held"


def _beside(hold: dict[str, Any]) -> str:
    others = hold["under_other_holds"] if hold["released"] is None else 0
    return f" (+ {others} under other holds / dưới lệnh khác)" if others else ""


def _day(at: str) -> str:
    """The day in Vietnam."""
    return civil(moment(at))[:10]


def _span(hold: Hold) -> tuple[str, str]:
    """From when until when it holds, as people here read it; the end is the first moment that is not held."""
    said = [("from", "từ", hold.begins), ("until before", "trước", hold.ends)]
    english = " ".join(f"{word} {civil(at)}" for word, _, at in said if at is not None)
    vietnamese = " ".join(f"{word} {civil(at)}" for _, word, at in said if at is not None)
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
