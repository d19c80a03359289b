"""`lgsp audit package`: one transfer's evidence for strangers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.audit import audit
from gateway.cli.base import Data, Json, load_instance
from gateway.commands.output import failures_told


@audit.command("package")
def audit_package(
    transfer: str,
    out: Annotated[Path, typer.Argument(help="Folder, or a file that ends in .zip; it must not be there yet.")],
    reason: Annotated[str, typer.Option("--reason", help="Who wants it and what for; it stands in the log.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """All of one transfer that a stranger needs to check it: messages, certificates, proofs, the checkpoint, and how."""
    from gateway.commands import package as command

    with failures_told(json):
        command.make(load_instance(data, json), transfer, out, reason, json)
