"""`lgsp vault move|lost`: where the vault's keys are kept, and what is done if one is lost on all machines."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from gateway.cli import vault
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, failed, failures_as_exits
from gateway.cli.vault import Reason

commands = vault.commands


@commands.command("move")
def vault_move(
    to: Annotated[str, typer.Argument(help="Address of the second database (postgresql://…), or `folder`.")],
    old: Annotated[
        str, typer.Option("--from", help="With `folder`: the second database, if the settings do not name it any more.")
    ] = "",
    destroy_old: Annotated[
        bool, typer.Option("--destroy-old", help="Destroy the keys in the old store, once all are in the new one.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Move the vault's keys of a stopped instance into a second PostgreSQL, or back into the folder. Each is read back
    and compared. After a kill, give the same command again."""
    from gateway.backup.vault_move import FOLDER, move
    from gateway.cli.run import alone
    from gateway.processes.supervised import NotStarted

    settings = load_instance(data, as_json)
    address = (old or settings.vault_database) if to == FOLDER else to
    if not address.startswith("postgresql"):
        what = (
            f"{to!r} is no address of PostgreSQL, nor `folder`"
            " / không phải địa chỉ PostgreSQL, cũng không phải `folder`"
        )
        fail(Exit.USAGE, "no-address", what, "Name it: / Ghi địa chỉ: lgsp vault move postgresql://…", as_json)
    try:
        with alone(settings), failures_as_exits(as_json):
            done = move(settings, to != FOLDER, address, time.time(), (actor(), destroy_old))
    except NotStarted as trouble:
        failed(Exit.USAGE, trouble, as_json)
    said = (
        f"{done.keys} keys are in the new store, read back and compared; {done.destroyed} in the old one are destroyed"
        f" / {done.keys} khóa đã nằm ở kho mới, đã đọc lại và so sánh; đã hủy {done.destroyed} khóa ở kho cũ"
    )
    result = {"ok": True, "to": done.to, "keys": done.keys, "destroyed": done.destroyed}
    emit(result, as_json, said)


@commands.command("lost")
def vault_lost(
    key: Annotated[str, typer.Argument(help="The id of the key, as `lgsp doctor` names it (2026-11-25.m24).")],
    reason: Reason,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """State that a key is lost on all machines: what it sealed stays unreadable, and sealing goes on with a new key of
    its day and class."""
    from gateway.journal.database import open_engine
    from gateway.keeper.retention.lost import state_lost
    from gateway.vault.stores import open_keys

    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    bodies = state_lost(engine, open_keys(settings, engine), key, reason, actor(), time.time())
    text = (
        f"key {key} is stated as lost: {bodies} bodies are unreadable; sealing goes on with a new key"
        f" / đã ghi nhận khóa {key} bị mất: {bodies} nội dung không đọc được; việc niêm phong tiếp tục bằng khóa mới"
    )
    emit({"ok": True, "key": key, "bodies": bodies}, as_json, text)
