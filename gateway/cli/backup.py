"""`lgsp backup`, `lgsp restore`: copies of an instance, and going on from one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.cli.base import Data, Json, app, load_instance
from gateway.commands.output import failures_told


def _defaulting(name: str) -> type[TyperGroup]:
    class Defaulting(TyperGroup):
        """`lgsp backup FOLDER` is `lgsp backup make FOLDER`."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if args and args[0] not in self.commands and args[0] != "--help":
                args = [name, *args]
            return super().parse_args(ctx, args)

    return Defaulting


backup = typer.Typer(
    cls=_defaulting("make"),
    no_args_is_help=True,
    help="Back up an instance that runs or stands: `lgsp backup FOLDER`; check a backup.",
)
restore = typer.Typer(
    cls=_defaulting("from"),
    no_args_is_help=True,
    help="Restore a backup into an empty place: `lgsp restore FOLDER --data NEW`; confirm it.",
)
app.add_typer(backup, name="backup")
app.add_typer(restore, name="restore")

Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]
Vkey = Annotated[
    str | None,
    typer.Option("--vkey", help="Trusted verifier key of the log, or a file that holds it, from outside the backup."),
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint",
        help="A checkpoint of the log kept elsewhere (an agency's, a witness's); may be given several times.",
    ),
]


@backup.command("make")
def backup_make(
    folder: Annotated[Path, typer.Argument(help="An empty or missing folder, outside the data folder.")],
    data: Data = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Leave out all private keys.")] = False,
    plain_keys: Annotated[
        bool, typer.Option("--plain-keys", help="Take keys in although they lie in the clear.")
    ] = False,
    vault_keys: Annotated[
        bool,
        typer.Option(
            "--vault-keys",
            help="Take in the keys of stored bodies too; that folder is to be destroyed within seven days.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Copy an instance as it stands at one moment, running or not, and check the copy."""
    from gateway.commands import backup as command

    with failures_told(json):
        command.make(load_instance(data, json), folder, not without_keys, plain_keys, vault_keys, json)


@backup.command("check")
def backup_check(folder: Folder, vkey: Vkey = None, checkpoint: Checkpoints = None, json: Json = False) -> None:
    """Compare every file with the manifest, and derive the log within anew."""
    from gateway.commands import backup as command

    with failures_told(json):
        command.check(folder, vkey, checkpoint or [], json)


@restore.command("from")
def restore_from(
    folder: Folder,
    data: Annotated[Path, typer.Option("--data", help="The empty or missing folder of the instance to be.")],
    database: Annotated[
        str, typer.Option("--database", help="SQLAlchemy address of an empty PostgreSQL database, for a backup of one.")
    ] = "",
    checkpoint: Checkpoints = None,
    vkey: Vkey = None,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="You answer for it that nothing was signed after this backup: the log goes on under its name.",
        ),
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="A folder `keys` kept elsewhere, where the backup was made without them."),
    ] = None,
    vault_keys: Annotated[
        Path | None, typer.Option("--vault-keys", help="A folder with the keys of stored bodies, kept elsewhere.")
    ] = None,
    origin: Annotated[
        str,
        typer.Option("--origin", help="Name for a new log, if one begins (default: the old name and the next number)."),
    ] = "",
    json: Json = False,
) -> None:
    """Restore, verify, and say what may have gone back in time; the doors stay closed until `lgsp restore confirm`."""
    from gateway.commands import backup as command

    with failures_told(json):
        command.restore(folder, data, database, checkpoint or [], vkey, complete, keys, vault_keys, origin, json)


@restore.command("confirm")
def restore_confirm(
    data: Data = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="Who looked through what may have gone back; goes into the log. Without it the list is only shown.",
        ),
    ] = "",
    although_it_runs: Annotated[
        bool,
        typer.Option(
            "--although-it-runs", help="Open the doors although the instance of the backup still runs on this machine."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Show what may have gone back in time with the database; with --by, open the doors."""
    from gateway.commands import backup as command

    with failures_told(json):
        command.confirm(load_instance(data, json), by, although_it_runs, json)
