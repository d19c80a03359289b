"""`lgsp keys`, `lgsp reload`: the gateway's own keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Data, Json, app, load_instance
from gateway.commands.output import failures_told

keys = typer.Typer(no_args_is_help=True, help="The gateway's own keys: show, replace, protect at rest.")
app.add_typer(keys, name="keys")


@keys.command("show")
def keys_show(data: Data = None, json: Json = False) -> None:
    """The keys with their generations, and whether they are protected at rest."""
    from gateway.commands import keys as command

    with failures_told(json):
        command.show(load_instance(data, json), json)


@keys.command("rotate")
def keys_rotate(
    names: list[str],
    data: Data = None,
    json: Json = False,
    withdraw: Annotated[
        bool,
        typer.Option(
            "--withdraw", help="The old key is in wrong hands: nothing that it vouched for is believed any more."
        ),
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", help="`sign` only: the key of this label in the PKCS#11 token, made there if it is not."
        ),
    ] = None,
    no_reload: Annotated[
        bool, typer.Option("--no-reload", help="Leave running processes with the old keys until `lgsp reload`.")
    ] = False,
) -> None:
    """Replace keys (server, client, sign, …) without downtime; old certificates stay published until they expire."""
    from gateway.commands import keys as command

    with failures_told(json):
        command.rotate(load_instance(data, json), names, withdraw, not no_reload, json, token)


@keys.command("protect")
def keys_protect(
    data: Data = None,
    json: Json = False,
    new_secret: Annotated[
        Path | None,
        typer.Option("--new-secret", help="File outside the data folder for the secret; made if it is not there."),
    ] = None,
) -> None:
    """Encrypt all private keys and secrets of a stopped instance, so that a copy of its folder opens nothing."""
    from gateway.commands import keys as command

    with failures_told(json):
        command.protect(load_instance(data, json), new_secret, json)


@app.command()
def reload(data: Data = None, json: Json = False) -> None:
    """Replace the processes of a running instance one by one, with the keys and settings of now; nobody is turned away."""
    from gateway.commands import keys as command

    with failures_told(json):
        command.reload(load_instance(data, json), json)
