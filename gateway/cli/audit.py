"""`lgsp audit`: the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Data, Json, app, load_instance
from gateway.commands.output import failures_told

audit = typer.Typer(no_args_is_help=True, help="The audit log: verify, show, export.")
app.add_typer(audit, name="audit")

Vkey = Annotated[str | None, typer.Option("--vkey", help="Trusted verifier key, or a file that holds it, from outside the instance.")]
Origin = Annotated[
    str | None, typer.Option("--origin", help="Expected origin of the log; that of one that ended by a restore looks at that log.")
]


@audit.command("verify")
def audit_verify(
    data: Data = None,
    json: Json = False,
    vkey: Vkey = None,
    origin: Origin = None,
    checkpoint: Annotated[Path | None, typer.Option("--checkpoint", help="A checkpoint kept outside, which the log must contain.")] = None,
) -> None:
    """Derive the whole tree anew from the raw entries and compare it with the signed checkpoint."""
    from gateway.commands import audit as command

    with failures_told(json):
        command.verify(load_instance(data, json), vkey, origin, checkpoint, json)


@audit.command("show")
def audit_show(transfers: list[str], data: Data = None, json: Json = False) -> None:
    """All entries of the transfers named, in the order of the log."""
    from gateway.commands import audit as command

    with failures_told(json):
        command.show(load_instance(data, json), transfers, json)


@audit.command("export")
def audit_export(folder: Path, data: Data = None, json: Json = False, origin: Origin = None) -> None:
    """Write entries, tiles and checkpoint as plain files, in the layout of tlog-tiles."""
    from gateway.commands import audit as command

    with failures_told(json):
        command.export(load_instance(data, json), folder, json, origin)


@audit.command("origins")
def audit_origins(data: Data = None, json: Json = False) -> None:
    """The log that goes on, and those that ended because a restore lacked what was signed."""
    from gateway.commands import audit as command

    with failures_told(json):
        command.origins_of(load_instance(data, json), json)
