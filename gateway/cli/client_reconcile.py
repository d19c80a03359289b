"""`lgsp client reconcile`: an agency's own counts of a day, compared with the gateway's log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Json
from gateway.cli.client import IdentityDir, Passphrase, State, client


@client.command("reconcile")
def client_reconcile(
    file: Annotated[
        Path, typer.Argument(help="What the agency's systems counted: CSV, or JSON as in openapi/audit.yaml.")
    ],
    identity: IdentityDir,
    day: Annotated[
        str | None,
        typer.Option("--day", help="The day in Vietnam, such as 2026-11-24; may be left out where the file names it."),
    ] = None,
    passphrase: Passphrase = None,
    state: State = None,
    json: Json = False,
) -> None:
    """Send the agency's own counts of a day; prints the differences that the gateway's proven answer names."""
    from gateway.commands import client as command

    command.reconcile(identity, passphrase, state, file, day, json)
