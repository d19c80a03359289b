"""`lgsp audit watch`: follows the log of an instance, or of a gateway over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.audit import Identity, Passphrase, Trust, Url, Vkey, audit, by_name
from gateway.cli.base import Data, load_instance
from gateway.commands.output import failures_told

Lines = Annotated[bool, typer.Option("--json", help="One JSON object a line, the last one with `ok`.")]


@audit.command("watch")
def audit_watch(
    data: Data = None,
    json: Lines = False,
    vkey: Vkey = None,
    url: Url = None,
    identity: Identity = None,
    passphrase: Passphrase = None,
    trust: Trust = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            help="Folder for the checkpoints that were proved (default: log/watched of the instance; better elsewhere).",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One look, for cron.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 5.0,
) -> None:
    """Follow the log: each new checkpoint must go on from the last one kept. Ends with 1 if the log takes anything back."""
    from gateway.commands import audit_watch as command
    from gateway.commands.audit_remote import Place

    data, identity = by_name(data, identity, json)
    with failures_told(json):
        if url is not None or identity is not None:
            command.over_http(Place(url, identity, passphrase, trust, vkey), state, once, every, json)
        else:
            command.of_database(load_instance(data, json), vkey, state, once, every, json)
