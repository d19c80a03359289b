"""`lgsp machine`: the machines of an instance. One is invited, joins, is drained, and removed."""

from __future__ import annotations

import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import machine_alone
from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.language import either
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import emit, failures_as_exits, not_written

if TYPE_CHECKING:
    from gateway.machines.acts import By
    from gateway.machines.listing import Listed

commands = typer.Typer(no_args_is_help=True, help="The machines of an instance: several on PostgreSQL, one on SQLite.")
commands.add_typer(machine_alone.commands)
Name = Annotated[str, typer.Argument(help="Name of the machine: a-z, 0-9, dots and hyphens.")]
Reason = Annotated[
    str, typer.Option("--reason", help="Why, 10 characters or more; it stays in the log, so no personal data.")
]


@commands.command("invite")
def machine_invite(
    name: Name,
    out: Annotated[Path, typer.Option("--out", help="File for the invitation, mode 0600.")],
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=720, help="How long it may be used.")] = 24.0,
    address: Annotated[
        str, typer.Option("--address", help="Exchange listener of a machine that runs (default: public_base).")
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an invitation that joins one machine, once. Whoever has the file can become that machine: carry it by a way
    that you trust, and delete it."""
    from gateway.journal.database import open_engine
    from gateway.machines import acts
    from security.grants.windows import civil

    settings, file = load_instance(data, as_json), arguments.new_file(out, as_json)
    with failures_as_exits(as_json):
        made = acts.invite(settings, open_engine(settings.database_url), name, hours, _by(""), address)
    try:
        made.write(file)
    except OSError as trouble:
        not_written(file, trouble, as_json)
    secret = " --secret-file FILE" if made.protected else ""
    text = (
        f"{file}: {name}, until / đến {civil(made.expires)}\n"
        f"On the new machine: / Trên máy mới: lgsp machine join {file.name}{secret}"
    )
    emit({"ok": True, "machine": name, "file": str(file), "until": made.expires}, as_json, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What is this machine's own."""

    host: Annotated[str | None, typer.Option("--host", help="Address that the exchange listener binds.")] = None
    exchange_port: Annotated[int | None, typer.Option("--exchange-port", min=1, max=65_535)] = None
    desk_port: Annotated[int | None, typer.Option("--desk-port", min=1, max=65_535)] = None
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", help="Secret of this machine that protects the keys at rest.")
    ] = None


@commands.command("join")
@grouped
def machine_join(
    invitation: Annotated[Path, typer.Argument(help="The file of `lgsp machine invite`.")],
    places: Places,
    database: Annotated[
        str, typer.Option("--database", help="Address of the database, if it is another one from here.")
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make this machine one of the instance that invited it. What was cut short goes on when it is called again."""
    from gateway.cli.common.joining import join
    from gateway.machines.join import Wanted
    from gateway.settings import default_data

    folder = (data or default_data()).absolute()
    named = os.environ.get("LGSP_SECRET_FILE")  # as `lgsp up` takes it: deploy/lgsp-command.sh sets it
    own = {
        "host": places.host,
        "exchange_port": places.exchange_port,
        "desk_port": places.desk_port,
        "secret_file": named or None if places.secret_file is None else os.path.abspath(places.secret_file),
    }
    wanted = Wanted(folder, {name: value for name, value in own.items() if value is not None}, database)
    settings = join(invitation, wanted, as_json)
    there = "" if data is None else f" --data {shlex.quote(str(folder))}"
    text = (
        f"{settings.machine}: {folder}\n"
        f"Next: / Tiếp theo: lgsp up{there} · lgsp machine list{there}\n"
        f"Delete the invitation: / Xóa lời mời: {invitation}"
    )
    emit({"ok": True, "machine": settings.machine, "data": str(folder), "exchange": settings.base}, as_json, text)


@commands.command("list")
def machine_list(data: Data = None, as_json: AsJson = False) -> None:
    """The machines: state, version, when seen, processes, clock, keys."""
    from gateway.journal.database import open_engine, snapshot
    from gateway.machines import listing

    settings = load_instance(data, as_json)
    with failures_as_exits(as_json), snapshot(open_engine(settings.database_url)) as connection:
        found = listing.every(connection, time.time)
    emit({"ok": True, "machines": [each.shown() for each in found]}, as_json, "\n".join(map(_line, found)) or "–")


@commands.command("drain")
def machine_drain(
    name: Name,
    reason: Reason,
    end: Annotated[bool, typer.Option("--end", help="Take new work again.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let a machine take no new work: calls get 503, what it does ends, another keeper leads. `--end` takes it back."""
    from gateway.journal.database import open_engine
    from gateway.machines import acts

    settings = load_instance(data, as_json)
    by = _by(arguments.reason_of(reason, as_json))
    with failures_as_exits(as_json):
        engine, others = open_engine(settings.database_url), True
        if end:
            acts.end_drain(engine, name, by)
        else:
            others = acts.drain(engine, name, by)
    state = "active" if end else "draining"
    text = f"{name}: {_state(state)}"
    if not others:
        text += "\nNo other machine is active: all callers get 503. / Không còn máy nào phục vụ: mọi lời gọi nhận 503."
    emit({"ok": True, "machine": name, "state": state}, as_json, text)


@commands.command("remove")
def machine_remove(name: Name, reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """Remove a machine for good: its processes stop, and it gets no keys. The keys that it had must be replaced."""
    from gateway.journal.database import open_engine
    from gateway.keys.keyring import Keyring
    from gateway.machines import acts

    settings = load_instance(data, as_json)
    by = _by(arguments.reason_of(reason, as_json))
    with failures_as_exits(as_json):
        had_keys = acts.remove(open_engine(settings.database_url), name, by)
    if not had_keys:
        text = (
            f"{name}: {_state('removed')}\n"
            "It had no keys yet, and its invitation is withdrawn. / Máy đó chưa có khóa nào, và lời mời đã bị thu hồi."
        )
        emit({"ok": True, "machine": name, "state": "removed", "next": []}, as_json, text)
    rotate = f"lgsp keys rotate {' '.join(Keyring(settings).names)} --withdraw"
    # The issuers first: what is rotated before has its certificate from the issuer that is given up.
    renew = "lgsp ca renew tls · lgsp ca renew sign"
    text = (
        f"{name}: {_state('removed')}\n"
        f"It had the instance's keys and the password of the database. Replace them: {renew} · {rotate} · the password"
        " (ca renew needs ca/root.key). No command replaces keys/log.key and keys/hash.key, which it had too: if it may"
        " be in wrong hands, read docs/security.md."
        f" / Máy đó đã có các khóa và mật khẩu cơ sở dữ liệu, cần thay: {renew} · {rotate} · mật khẩu (ca renew cần"
        " ca/root.key). Không lệnh nào thay được keys/log.key và keys/hash.key mà máy đó cũng có: nếu máy có thể rơi"
        " vào tay người khác, xem docs/security.md."
    )
    emit({"ok": True, "machine": name, "state": "removed", "next": [renew, rotate]}, as_json, text)


def _by(reason: str) -> By:
    from gateway.machines.acts import By

    return By(actor(), time.time(), reason)


def _state(state: str) -> str:
    words = {
        "invited": either("invited", "đã mời"),
        "joining": either("joining", "đang tham gia"),
        "active": either("active", "đang phục vụ"),
        "draining": either("draining", "đang rút khỏi phục vụ"),
        "removed": either("removed", "đã xóa"),
    }
    return words[state]


def _line(each: Listed) -> str:
    from security.grants.windows import civil

    it = each.machine
    seen = civil(it.seen, seconds=True) if it.seen is not None else "–"
    processes = ", ".join(f"{number} {kind}" for kind, number in each.processes.items()) or "–"
    ahead = "" if it.ahead is None else f"  {either('clock', 'đồng hồ')} {it.ahead:+.1f} s"
    behind = f"  {either('behind', 'chậm')}: {it.trouble or each.newest}" if each.behind else ""
    return (
        f"{it.name:<24} {_state(it.state):<23} {it.version or '–':<10} {seen}  {processes}{ahead}"
        f"  {either('keys', 'khóa')} {it.generation}{behind}"
    )
