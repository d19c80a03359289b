"""`lgsp audit body`: one body out of the vault, for a reason that stays in the log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.audit import audit
from gateway.cli.base import Data, Json, load_instance
from gateway.commands.output import failures_told


@audit.command("body")
def audit_body(
    transfer: str,
    reason: Annotated[
        str,
        typer.Option(
            "--reason", help="Why it is read, 10 characters or more; it stays in the log, so no personal data."
        ),
    ],
    part: Annotated[
        str, typer.Option("--part", help="request, canonical, answer, forwarded, provider-answer, …")
    ] = "request",
    out: Annotated[
        Path | None, typer.Option("--out", help="A new file to write it to; else it goes to standard output.")
    ] = None,
    range_: Annotated[
        str | None, typer.Option("--range", help="Bytes a-b of it, both counted from 0 and included.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Read a body. Who read it and why is in the log before the first byte is shown."""
    from gateway.commands import body as command

    with failures_told(json):
        command.body(load_instance(data, json), transfer, part, reason, out, range_, json)
