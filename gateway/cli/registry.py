"""`lgsp registry` and `lgsp access`: who is known, and who may what."""

from __future__ import annotations

from pathlib import Path

import typer

from gateway.cli.base import Data, Json, app, load_instance
from gateway.commands.output import failures_told

registry = typer.Typer(no_args_is_help=True, help="Agencies, systems, routes and grants.")
access = typer.Typer(no_args_is_help=True, help="Who may what.")
app.add_typer(registry, name="registry")
app.add_typer(access, name="access")


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


@access.command("explain")
def access_explain(agency: str, contract: str, operation: str, data: Data = None, json: Json = False) -> None:
    """Why an agency may, or may not, call an operation, and which fields it sees."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.explain(load_instance(data, json), agency, contract, operation, json)


@access.command("matrix")
def access_matrix(data: Data = None, json: Json = False) -> None:
    """Agency × contract × operation: who may what."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.matrix(load_instance(data, json), json)
