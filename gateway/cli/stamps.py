"""`lgsp audit stamps`, `lgsp audit stamp`: time-stamps of the log's checkpoints (RFC 3161)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.audit import audit
from gateway.cli.base import Data, Json, load_instance
from gateway.commands.output import failures_told


@audit.command("stamps")
def audit_stamps(
    data: Data = None,
    json: Json = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="Write the newest one (or --id) into this folder: checkpoint, checkpoint.tsq, checkpoint.tsr.",
        ),
    ] = None,
    id: Annotated[int | None, typer.Option("--id", help="The one to export.")] = None,
) -> None:
    """List the time-stamps of checkpoints, newest first; or export one as files that `openssl ts -verify` takes."""
    from gateway.commands import stamps as command

    with failures_told(json):
        command.stamps(load_instance(data, json), limit, export, id, json)


@audit.command("stamp")
def audit_stamp(
    now: Annotated[bool, typer.Option("--now", help="Ask the authority now, whenever the next stamp is due.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Have the newest checkpoint time-stamped; without --now only if it is due."""
    from gateway.commands import stamps as command

    with failures_told(json):
        command.stamp(load_instance(data, json), now, json)
