"""`lgsp vault`: what is kept, what is due, what is held."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.base import Data, Json, app, load_instance
from gateway.commands.output import failures_told

vault = typer.Typer(no_args_is_help=True, help="The vault of bodies: what is kept, what is due, what is held.")
hold = typer.Typer(no_args_is_help=True, help="Legal holds: what is under one outlives its retention.")
app.add_typer(vault, name="vault")
vault.add_typer(hold, name="hold")

Reason = Annotated[
    str, typer.Option("--reason", help="Why, 10 characters or more; it stays in the log, so no personal data.")
]


@vault.command("status")
def vault_status(data: Data = None, json: Json = False) -> None:
    """Classes, days, keys, bodies, bytes, holds, and what is due when."""
    from gateway.commands import vault as command

    with failures_told(json):
        command.status(load_instance(data, json), json)


@vault.command("expire")
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
    json: Json = False,
) -> None:
    """Destroy the keys that are due. The keeper of a running instance does so by itself; without one it is done here."""
    from gateway.commands import vault as command

    with failures_told(json):
        command.expire(load_instance(data, json), dry_run, json, clock_is_right)


@hold.command("add")
def hold_add(
    name: Annotated[
        str, typer.Argument(help="Small letters, digits, hyphens; never used twice, not even after a release.")
    ],
    reason: Reason,
    transfer: Annotated[
        list[str] | None, typer.Option("--transfer", help="A transfer by its id; may be given again.")
    ] = None,
    agency: Annotated[
        str | None, typer.Option("--agency", help="Transfers of this agency, as caller or as provider.")
    ] = None,
    contract: Annotated[
        str | None, typer.Option("--contract", help="Transfers of this contract, such as incident-alert/v1.")
    ] = None,
    begins: Annotated[
        str | None, typer.Option("--from", help="From this day or moment on (2026-11-01, time in Vietnam).")
    ] = None,
    ends: Annotated[
        str | None,
        typer.Option("--to", help="Until this day, meant as a whole, or before this moment; open without it."),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Put a hold in place, and bring what it covers under its own keys."""
    from gateway.commands import vault as command

    with failures_told(json):
        command.hold_add(
            load_instance(data, json), name, reason, transfer or None, agency, contract, begins, ends, json
        )


@hold.command("release")
def hold_release(name: str, reason: Reason, data: Data = None, json: Json = False) -> None:
    """End a hold: what it held is due by its own day and class again."""
    from gateway.commands import vault as command

    with failures_told(json):
        command.hold_release(load_instance(data, json), name, reason, json)


@hold.command("list")
def hold_list(data: Data = None, json: Json = False) -> None:
    """All holds, also those that ended."""
    from gateway.commands import vault as command

    with failures_told(json):
        command.hold_list(load_instance(data, json), json)
