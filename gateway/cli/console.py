"""`lgsp console`: the accounts of people who sign in to the pages of the people's listener, and their tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.times import rfc3339
from contracts.base.visible import visible
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit, failures_as_exits
from security.grants.windows import civil

if TYPE_CHECKING:
    from gateway.registry.seals.account_rows import Change, SealedRows
    from gateway.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="The pages for people: who may sign in.")
user_commands = typer.Typer(no_args_is_help=True, help="Accounts of the console.")
token_commands = typer.Typer(no_args_is_help=True, help="Tokens of people for the management API.")
commands.add_typer(user_commands, name="user")
commands.add_typer(token_commands, name="token")

Id = Annotated[str, typer.Argument(help="The account; an officer's has the id of the officer.")]
RoleNames = Annotated[
    list[str],
    typer.Option("--role", help="officer, operator, steward, auditor, vendor, centre or agency; may be repeated."),
]


@user_commands.command("add")
def user_add(
    id: Id,
    role: RoleNames,
    agency: Annotated[str, typer.Option("--agency", help="Code of the agency.")],
    name: Annotated[str, typer.Option("--name", help="Name of the person, as pages show it.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add an account, and print the link by which its person signs in the first time."""
    from gateway.console.accounts import store
    from gateway.console.work import people

    settings = load_instance(data, as_json)
    with _changing(settings, as_json) as change:
        store.add(change, people.wanted(change.connection, id, agency, name, store.roles_of(role)))
        token = store.make_link(change, id)
    _emit_link(settings, id, token, as_json)


@user_commands.command("link")
def user_link(id: Id, data: Data = None, as_json: AsJson = False) -> None:
    """Print a link that signs in once, within fifteen minutes: for the first time, or for who is locked out."""
    from gateway.console.accounts import store

    settings = load_instance(data, as_json)
    with _changing(settings, as_json) as change:
        token = store.make_link(change, id)
    _emit_link(settings, id, token, as_json)


@user_commands.command("list")
def user_list(data: Data = None, as_json: AsJson = False) -> None:
    """All accounts with their roles."""
    from gateway.console.accounts import store

    with _reading(load_instance(data, as_json), as_json) as rows:
        accounts = store.listed(rows)
    listed = [
        {"id": each.id, "agency": each.agency, "name": each.name, "roles": list(each.roles), "active": each.active}
        for each in accounts
    ]
    lines = [
        f"{each.id:<24} {each.agency:<10} {' '.join(each.roles):<40} {'' if each.active else 'disabled / đã khóa'}"
        for each in accounts
    ]
    emit({"ok": True, "accounts": listed}, as_json, "\n".join(lines) or "no account / chưa có tài khoản")


@user_commands.command("roles")
def user_roles(id: Id, role: RoleNames, data: Data = None, as_json: AsJson = False) -> None:
    """Replace the roles of an account. Its sessions end."""
    from gateway.console.accounts import store
    from gateway.console.work import people

    with _changing(load_instance(data, as_json), as_json) as change:
        roles = store.roles_of(role)
        people.check_roles(change.connection, id, roles, store.find(change, id).roles)
        store.set_roles(change, id, roles)
    emit({"ok": True, "account": id, "roles": list(roles)}, as_json, f"{id}: {' '.join(roles)}")


@user_commands.command("disable")
def user_disable(id: Id, data: Data = None, as_json: AsJson = False) -> None:
    """Close an account. Its sessions, links and tokens end."""
    _set_active(id, False, load_instance(data, as_json), as_json)


@user_commands.command("enable")
def user_enable(id: Id, data: Data = None, as_json: AsJson = False) -> None:
    """Open a closed or locked account again."""
    _set_active(id, True, load_instance(data, as_json), as_json)


def _set_active(id: str, active: bool, settings: Settings, as_json: bool) -> None:
    from gateway.console.accounts import store

    with _changing(settings, as_json) as change:
        store.set_active(change, id, active)
    words = "open / đã mở" if active else "closed / đã khóa"
    emit({"ok": True, "account": id, "active": active}, as_json, f"{id}: {words}")


@token_commands.command("add")
def token_add(
    id: Id,
    label: Annotated[str, typer.Option("--label", help="What it is for, as lists show it.")],
    days: Annotated[int, typer.Option("--days", min=1, max=30, help="Days until it expires.")] = 1,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a token with the roles of an account, and print it this once. It expires, and never approves."""
    from gateway.console.accounts import tokens

    with _changing(load_instance(data, as_json), as_json) as change:
        text, made = tokens.make(change, tokens.wanted(id, label, days, time.time()))
    result = {"ok": True, "account": id, "mark": made.mark, "token": text, "expires": rfc3339(made.expires)}
    until = civil(made.expires)
    emit(result, as_json, f"{text}\ntoken {made.mark} of {id}, until {until} / mã của {id}, hạn đến {until}")


@token_commands.command("list")
def token_list(
    id: Annotated[str | None, typer.Argument(help="The account; without it, those of all.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Tokens that are in force, without their texts."""
    from gateway.console.accounts import tokens

    with _reading(load_instance(data, as_json), as_json) as rows:
        found = tokens.listed(rows, id, time.time())
    listed = [
        {"mark": each.mark, "account": each.account, "label": each.label, "expires": rfc3339(each.expires)}
        for each in found
    ]
    lines = [visible(f"{each.mark}  {each.account:<24} {civil(each.expires)}  {each.label}") for each in found]
    emit({"ok": True, "tokens": listed}, as_json, "\n".join(lines) or "no token / chưa có mã truy cập")


@token_commands.command("revoke")
def token_revoke(
    id: Id,
    mark: Annotated[str, typer.Argument(help="Mark of the token, as lists and the log show it.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """End a token of an account."""
    from gateway.console.accounts import tokens

    with _changing(load_instance(data, as_json), as_json) as change:
        tokens.revoke(change, id, mark)
    emit({"ok": True, "account": id, "mark": mark}, as_json, f"{mark}: ended / đã thu hồi")


@commands.command("repair")
def repair(
    reason: Annotated[str, typer.Option("--reason", help="What happened; it goes into the log.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Delete the rows of accounts that are not as they were sealed; what differed and why is logged. If the seal itself
    is lost or set back, all of them go, and accounts are added again."""
    from gateway.console.site.page import checked_reason
    from gateway.journal.database import open_engine
    from gateway.registry.seals import account_rows
    from gateway.registry.seals.accounts import Seal

    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    try:
        with failures_as_exits(as_json):
            facts = {"reason": checked_reason(reason)}
            differed = account_rows.repair(engine, Seal.of(settings), facts, time.time(), actor())
    finally:
        engine.dispose()
    rows = [{"table": each.table, "key": each.key, "how": each.how} for each in differed]
    lines = [visible(f"differed / khác: {each}") for each in differed]
    nothing = "all rows are as they were sealed / mọi dòng khớp với con dấu"
    emit({"ok": True, "differed": rows}, as_json, "\n".join(lines) or nothing)


@contextmanager
def _changing(settings: Settings, as_json: bool) -> Iterator[Change]:
    from gateway.journal.database import open_engine
    from gateway.registry.seals.account_rows import changing
    from gateway.registry.seals.accounts import Seal

    engine = open_engine(settings.database_url)
    try:
        with failures_as_exits(as_json), changing(engine, Seal.of(settings), time.time(), actor()) as change:
            yield change
    finally:
        engine.dispose()


@contextmanager
def _reading(settings: Settings, as_json: bool) -> Iterator[SealedRows]:
    from gateway.journal.database import open_engine
    from gateway.registry.seals.account_rows import reading
    from gateway.registry.seals.accounts import Seal

    engine = open_engine(settings.database_url)
    try:
        with failures_as_exits(as_json), reading(engine, Seal.of(settings)) as rows:
            yield rows
    finally:
        engine.dispose()


def _emit_link(settings: Settings, id: str, token: str, as_json: bool) -> None:
    address = f"{settings.desk_named}/console/link/{token}"
    result: dict[str, Any] = {"ok": True, "account": id, "link": address}
    emit(result, as_json, f"{address}\nsigns {id} in once, within 15 minutes / đăng nhập một lần, trong 15 phút")
