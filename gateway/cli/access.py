"""`lgsp access`: who may what."""

from __future__ import annotations

import typer

from gateway.cli.base import Data, Json, app, load_instance
from gateway.commands.output import failures_told

access = typer.Typer(no_args_is_help=True, help="Who may what.")
app.add_typer(access, name="access")


@access.command("explain")
def access_explain(agency: str, contract: str, operation: str, data: Data = None, json: Json = False) -> None:
    """Why an agency may, or may not, call an operation, and which fields it sees."""
    from gateway.commands import access as command

    with failures_told(json):
        command.explain(load_instance(data, json), agency, contract, operation, json)


@access.command("matrix")
def access_matrix(data: Data = None, json: Json = False) -> None:
    """Agency × contract × operation: who may what."""
    from gateway.commands import access as command

    with failures_told(json):
        command.matrix(load_instance(data, json), json)
