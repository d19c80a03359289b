"""Running an instance, and looking at it."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.base import Data, Json, app, load_instance, load_settings
from gateway.commands.output import failures_told


@app.command()
def up(
    data: Data = None,
    json: Json = False,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Sandbox: leave out a stand-in system, or `traffic`.")
    ] = None,
) -> None:
    """Run an instance; make a sandbox with a whole province first, if there is none."""
    from gateway.commands import run

    with failures_told(json):
        run.up(load_settings(data, json), json, frozenset(without or ()))


@app.command()
def doctor(data: Data = None, json: Json = False) -> None:
    """Look at an instance without changing it: files and keys, certificates, addresses, proxies, database, disk; say what is weak, why, and what to do."""
    from gateway.commands import doctor as command

    with failures_told(json):
        command.doctor(load_instance(data, json), json)
