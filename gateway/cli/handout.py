"""`lgsp registry handout`: what a system has to be told of the gateway, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Data, Json, load_instance
from gateway.cli.registry import registry
from gateway.commands.output import failures_told


@registry.command("handout")
def registry_handout(
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")], data: Data = None, json: Json = False
) -> None:
    """Write what a system has to be told of the gateway: whom to trust, its keys, its address. `lgsp client install --trust` takes it."""
    from gateway.commands import handout as command

    with failures_told(json):
        command.handout(load_instance(data, json), out, json)
