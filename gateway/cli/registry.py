"""`lgsp registry`: who is known."""

from __future__ import annotations

from pathlib import Path

import typer

from gateway.cli.base import Data, Json, app, load_instance
from gateway.commands.output import failures_told

registry = typer.Typer(no_args_is_help=True, help="Agencies, systems, routes and grants.")
app.add_typer(registry, name="registry")


@registry.command("apply")
def registry_apply(file: Path, data: Data = None, json: Json = False) -> None:
    """Bring the registry to what a document declares; each change is logged."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.apply(load_instance(data, json), file, json)


@registry.command("show")
def registry_show(data: Data = None, json: Json = False) -> None:
    """Agencies and systems with their state."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.show(load_instance(data, json), json)
