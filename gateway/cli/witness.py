"""`lgsp witness`: a small witness of transparency logs (C2SP tlog-witness), which needs no instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Json, app

witness = typer.Typer(
    no_args_is_help=True, help="A witness of transparency logs: its key, the logs that it knows, and its server."
)
app.add_typer(witness, name="witness")

Folder = Annotated[
    Path,
    typer.Option("--data", help="Folder of the witness: its key, and what it cosigned. Not the folder of an instance."),
]


@witness.command("key")
def witness_key(
    data: Folder,
    json: Json = False,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the witness, like an address without its scheme; makes the key."),
    ] = None,
) -> None:
    """Make the witness's key, or show the verifier key of the one that there is: whoever asks this witness is given that line."""
    from gateway.commands import witness as command

    command.key(data, name, json)


@witness.command("add-log")
def witness_add_log(vkey: str, data: Folder, json: Json = False) -> None:
    """Cosign for a log from now on: VKEY is its verifier key (`log/log.vkey` of an instance), or a file that holds it."""
    from gateway.commands import witness as command

    command.add_log(data, vkey, json)


@witness.command("status")
def witness_status(data: Folder, json: Json = False) -> None:
    """The logs that this witness knows, the size up to which each is cosigned, and what it holds against them."""
    from gateway.commands import witness as command

    command.status(data, json)


@witness.command("run")
def witness_run(
    data: Folder,
    listen: Annotated[str, typer.Option("--listen", help="Address to listen on, as host:port.")] = "127.0.0.1:7380",
    json: Json = False,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="Serve TLS with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its key (PEM).")] = None,
) -> None:
    """Serve `POST /add-checkpoint` until Ctrl-C or SIGTERM."""
    from gateway.commands import witness as command

    command.run(data, listen, tls_certificate, tls_key, json)
