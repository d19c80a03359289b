"""`lgsp audit stamps|stamp`: time-stamps of the log's checkpoints (RFC 3161)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, bad_setting, emit, fail

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from gateway.keeper.witnessing.stamps import Stamped
    from gateway.settings import Settings

commands = typer.Typer()


@commands.command("stamps")
def audit_stamps(
    data: Data = None,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="Write the newest one (or --id) into this folder: checkpoint, checkpoint.tsq, checkpoint.tsr.",
        ),
    ] = None,
    id: Annotated[int | None, typer.Option("--id", help="The one to export.")] = None,
) -> None:
    """List the time-stamps of checkpoints, newest first; or export one as files that `openssl ts -verify` takes."""
    from sqlalchemy import func, select

    from gateway.audit.witnessing.verify import write_stamp
    from gateway.journal.database import open_engine
    from gateway.journal.schema import tables
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    engine, table = open_engine(settings.database_url), tables.stamp
    if id is not None and export is None:
        fail(
            Exit.USAGE,
            "usage",
            "--id names the stamp to export / --id dùng để xuất",
            "Add --export FOLDER. / Thêm --export.",
            as_json,
        )
    if export is not None:
        query = select(table).order_by(table.c.id.desc()).limit(1)
        with engine.connect() as connection:
            row = connection.execute(query if id is None else query.where(table.c.id == id)).first()
        if row is None:
            what_next = "`lgsp audit stamps` lists those that there are. / Xem danh sách bằng lệnh này."
            fail(
                Exit.NO, "no-such-stamp", "there is no such time-stamp / không có dấu thời gian này", what_next, as_json
            )
        arguments.empty_folder(export, as_json)
        export.mkdir(parents=True, exist_ok=True)
        files = write_stamp(export, row)
        lines = [
            *(str(each) for each in files.values()),
            "openssl ts -verify -in checkpoint.tsr -data checkpoint -CAfile ANCHORS.pem",
        ]
        emit(
            {"ok": True, "id": row.id, "size": row.size, "files": {name: str(path) for name, path in files.items()}},
            as_json,
            "\n".join(lines),
        )
    with engine.connect() as connection:
        total = connection.scalar(select(func.count()).select_from(table)) or 0
        rows = connection.execute(select(table).order_by(table.c.id.desc()).limit(limit)).all()
    listed: list[dict[str, Any]] = [
        {
            "id": row.id,
            "size": row.size,
            "digest": bytes(row.digest).hex(),
            "time": _iso(row.time),
            "authority": row.authority,
        }
        for row in rows
    ]
    lines = [f"{each['id']:>6}  {civil(each['time'])}  {each['size']:>10}  {each['authority']}" for each in listed]
    emit(
        {"ok": True, "total": total, "stamps": listed},
        as_json,
        "\n".join(lines) or "no time-stamps yet / chưa có dấu thời gian",
    )


@commands.command("stamp")
def audit_stamp(
    now: Annotated[bool, typer.Option("--now", help="Ask the authority now, whenever the next stamp is due.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Have the newest checkpoint time-stamped; without --now only if it is due."""
    import asyncio

    from gateway.audit.log import proofs
    from gateway.audit.witnessing.admission import STAMPS
    from gateway.audit.witnessing.config import anchors_of, standing
    from gateway.journal.database import open_engine
    from gateway.keeper.witnessing.post import Unreached
    from gateway.keeper.witnessing.stamps import clock_trouble
    from gateway.settings import BadSetting
    from security.grants.windows import civil
    from security.pki.timestamp import Unstamped

    settings = load_instance(data, as_json)
    try:
        anchors = anchors_of(settings)
    except BadSetting as trouble:
        bad_setting(trouble, as_json)
    if not anchors:
        what = "stamp_policy is `off`: no authority is asked / stamp_policy đang là `off`"
        fail(
            Exit.USAGE, "off", what, "Set stamp_url, stamp_anchors and stamp_policy. / Đặt các thiết lập này.", as_json
        )
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        newest, held = proofs.newest(connection), standing(connection, STAMPS)
    if newest is None:
        what = "there is no signed checkpoint yet / chưa có điểm kiểm tra nào"
        fail(
            Exit.OURS, "no-checkpoint", what, "Is the keeper running? / Tiến trình giữ nhật ký có chạy không?", as_json
        )
    if not now and time.time() < held.at + settings.stamp_seconds:
        text = f"stamped at {civil(held.at)}, and not due / chưa đến hạn"
        emit({"ok": True, "stamped": False, "size": held.size, "time": _iso(held.at)}, as_json, text)
    try:
        stamped = asyncio.run(_ask(settings, anchors, *newest))
    except (Unreached, Unstamped) as trouble:
        what = f"there is no stamp: {trouble} / không lấy được dấu thời gian"
        fail(
            Exit.NO,
            "unstamped",
            what,
            "See stamp_url and stamp_anchors. / Kiểm tra stamp_url và stamp_anchors.",
            as_json,
        )
    _keep(engine, stamped)
    flagged = clock_trouble(stamped)
    lines = [
        f"{stamped.size} entries, {civil(stamped.proved.time)}, {stamped.proved.authority}",
        *(f"!! {words}" for words in flagged.values()),
    ]
    result = {
        "ok": not flagged,
        "stamped": True,
        "size": stamped.size,
        "time": _iso(stamped.proved.time),
        "authority": stamped.proved.authority,
    }
    emit({**result, "trouble": flagged}, as_json, "\n".join(lines))


async def _ask(settings: Settings, anchors: Any, size: int, note: str) -> Stamped:
    from gateway.keeper import revocation_fetch as fetch
    from gateway.keeper.witnessing.post import trusting
    from gateway.keeper.witnessing.stamps import Authority
    from gateway.keys.keyring import Keyring

    async with fetch.open_session() as session:
        authority = Authority(
            session, settings.stamp_url, anchors, time.time, trusting(Keyring(settings).trust_anchors)
        )
        return await authority.stamp(size, note)


def _keep(engine: Engine, stamped: Stamped) -> None:
    """With a note of who asked, since the keeper did not."""
    from gateway.audit.witnessing.admission import STAMPS
    from gateway.audit.witnessing.config import WitnessStatus, standing
    from gateway.journal.append import append
    from gateway.journal.database import lock_of, writing
    from gateway.keeper.witnessing.coverage import keep
    from gateway.keeper.witnessing.stamps import clock_trouble, noted, store

    with writing(engine, lock_of(engine)) as connection:
        held = standing(connection, STAMPS)
        store(connection, stamped)
        append(connection, [noted(stamped, actor(), time.time())])
        if stamped.counts and stamped.size >= held.size:
            keep(
                connection,
                STAMPS,
                WitnessStatus(stamped.size, stamped.received, None, held.told, clock_trouble(stamped)),
            )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
