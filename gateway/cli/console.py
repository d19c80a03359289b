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
    from sqlalchemy import Connection

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
    from gateway.console.accounts.records import Account

    settings = load_instance(data, as_json)
    with _writing(settings, as_json) as connection:
        store.add(connection, Account(id, agency, name, store.roles_of(role), True), time.time(), actor())
        token = store.make_link(connection, id, time.time(), actor())
    _emit_link(settings, id, token, as_json)


@user_commands.command("link")
def user_link(id: Id, data: Data = None, as_json: AsJson = False) -> None:
    """Print a link that signs in once, within fifteen minutes: for the first time, or for who is locked out."""
    from gateway.console.accounts import store

    settings = load_instance(data, as_json)
    with _writing(settings, as_json) as connection:
        token = store.make_link(connection, id, time.time(), actor())
    _emit_link(settings, id, token, as_json)


@user_commands.command("list")
def user_list(data: Data = None, as_json: AsJson = False) -> None:
    """All accounts with their roles."""
    from gateway.console.accounts import store
    from gateway.journal.database import open_engine

    settings = load_instance(data, as_json)
    with open_engine(settings.database_url).connect() as connection:
        accounts = store.listed(connection)
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

    with _writing(load_instance(data, as_json), as_json) as connection:
        roles = store.roles_of(role)
        store.set_roles(connection, id, roles, time.time(), actor())
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

    with _writing(settings, as_json) as connection:
        store.set_active(connection, id, active, time.time(), actor())
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

    with _writing(load_instance(data, as_json), as_json) as connection:
        text, made = tokens.make(connection, tokens.wanted(id, label, days, time.time()), actor())
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
    from gateway.journal.database import open_engine

    engine = open_engine(load_instance(data, as_json).database_url)
    with engine.connect() as connection:
        found = tokens.listed(connection, id, time.time())
    engine.dispose()
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

    with _writing(load_instance(data, as_json), as_json) as connection:
        tokens.revoke(connection, id, mark, time.time(), actor())
    emit({"ok": True, "account": id, "mark": mark}, as_json, f"{mark}: ended / đã thu hồi")


@contextmanager
def _writing(settings: Settings, as_json: bool) -> Iterator[Connection]:
    from gateway.journal.database import open_engine, writing

    engine = open_engine(settings.database_url)
    try:
        with failures_as_exits(as_json), writing(engine) as connection:
            yield connection
    finally:
        engine.dispose()


def _emit_link(settings: Settings, id: str, token: str, as_json: bool) -> None:
    address = f"{settings.desk_named}/console/link/{token}"
    result: dict[str, Any] = {"ok": True, "account": id, "link": address}
    emit(result, as_json, f"{address}\nsigns {id} in once, within 15 minutes / đăng nhập một lần, trong 15 phút")
