"""`lgsp contract`: begin, import, try, check, compare, publish, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Data, Json, app, load_instance
from gateway.commands.output import failures_told

contract = typer.Typer(no_args_is_help=True, help="Contracts: begin, import, try, check, compare, publish, show.")
app.add_typer(contract, name="contract")

Operations = Annotated[
    list[str] | None, typer.Option("--operation", help="Only this operation; may be given several times.")
]
Beside = Annotated[
    Path | None, typer.Option("--with", help="Folder with files that imports name by address; nothing is fetched.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder of the contract; its files go to the folder v1 in it.")]
Named = Annotated[str | None, typer.Option("--id", help="Id of the contract (default: made of the service's name).")]


@contract.command("import-wsdl")
def contract_import_wsdl(
    file: Path, out: Out, operation: Operations = None, beside: Beside = None, name: Named = None, json: Json = False
) -> None:
    """Draft a contract from a foreign WSDL 1.1 file; only the meaning is left to fill in."""
    from gateway.commands import contract_import as command

    with failures_told(json):
        command.from_wsdl(file, operation or (), beside, out, name, json)


@contract.command("import-openapi")
def contract_import_openapi(
    file: Path, out: Out, operation: Operations = None, beside: Beside = None, name: Named = None, json: Json = False
) -> None:
    """Draft a contract from a foreign OpenAPI 3.0 or 3.1 file; only the meaning is left to fill in."""
    from gateway.commands import contract_import as command

    with failures_told(json):
        command.from_openapi(file, operation or (), beside, out, name, json)


@contract.command("new")
def contract_new(
    name: Annotated[str, typer.Argument(help="Id of the contract, such as dossier-status.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the contract (default: its id).")] = None,
    json: Json = False,
) -> None:
    """Begin a contract: a folder with one operation and one format, to be filled in."""
    from gateway.commands import contract_import as command

    with failures_told(json):
        command.new(name, out, json)


@contract.command("try")
def contract_try(
    folder: Path,
    file: Annotated[Path, typer.Argument(help="The message; - reads standard input.")],
    format_name: Annotated[
        str, typer.Option("--format", help="The format it is in: a file of systems/, or canonical.")
    ],
    message: Annotated[
        str | None, typer.Option("--message", help="Which message it is, where neither root nor file name says so.")
    ] = None,
    json: Json = False,
) -> None:
    """Take one message through a contract's folder and print each stage: parsed, canonical, each other format, back."""
    from gateway.commands import contract_try as command

    with failures_told(json):
        command.run(folder, format_name, file, message, json)


@contract.command("check")
def contract_check(
    folder: Annotated[
        Path | None, typer.Argument(help="A contract's folder, or one that holds several (default: the catalogue).")
    ] = None,
    json: Json = False,
) -> None:
    """Prove every contract in a folder; print each finding with file and line."""
    from gateway.commands import contracts as command

    with failures_told(json):
        command.check(folder, json)


@contract.command("diff")
def contract_diff(
    old: Annotated[
        str, typer.Argument(help="A contract's folder, or the name of one in force, such as `indicator/v1`.")
    ],
    new: Annotated[str, typer.Argument(help="The same.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Name each change between two versions, with file and line; exit 1 if one breaks what runs."""
    from gateway.commands import contracts as command

    with failures_told(json):
        command.diff(lambda: load_instance(data, json), old, new, json)


@contract.command("publish")
def contract_publish(
    folder: Annotated[str, typer.Argument(help="A contract's folder; with --rollback, the name of one in force.")],
    data: Data = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Put the version before the one in force in force again.")
    ] = False,
    json: Json = False,
) -> None:
    """Prove a contract, compare it with the version in force, and put it in force; all doors move to it, no call is lost."""
    from gateway.commands import contracts as command

    with failures_told(json):
        if rollback:
            command.roll_back(load_instance(data, json), folder, json)
        else:
            command.publish(load_instance(data, json), Path(folder), json)


@contract.command("show")
def contract_show(
    name: Annotated[
        str | None, typer.Argument(help="Such as `indicator/v1` (default: all, with their versions).")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Contracts in force: versions stored, who is pinned to which; of one also its operations, formats, addresses."""
    from gateway.commands import contracts as command

    with failures_told(json):
        command.show(load_instance(data, json), name, json)
