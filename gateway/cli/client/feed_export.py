"""`lgsp client feed-export`: a range of a feed as a table, into a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.client.kit import Kit, kit_failures
from gateway.cli.common.arguments import new_file
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import Exit, emit, fail

commands = typer.Typer()


class Form(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"


@commands.command("feed-export")
@grouped
def client_feed_export(
    contract: Annotated[str, typer.Argument(help="Such as incident-alert/v1.")],
    file: Annotated[Path, typer.Argument(help="The file to write: NAME.csv, NAME.xlsx or NAME.parquet.")],
    kit: Kit,
    form: Annotated[
        Form | None, typer.Option("--form", help="The form of the table, where the name of the file does not say it.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Events sequenced at or after this time: 2026-11-24T07:00:00+07:00.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Events sequenced before this time.")] = None,
    as_json: AsJson = False,
) -> None:
    """A range of a feed as a table. The file appears when all of it has come."""
    form = _form(new_file(file, as_json), form, as_json)
    with kit_failures(as_json), kit.client(as_json) as client:
        size, part = 0, file.with_name(f"{file.name}.part")
        try:
            with part.open("wb") as out:
                for piece in client.export(contract, form.value, since=since, until=until):
                    size += out.write(piece)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        emit({"ok": True, "file": str(file), "bytes": size}, as_json, f"{file}: {size} bytes")


def _form(file: Path, asked: Form | None, as_json: bool) -> Form:
    """By the ending of the file. `asked` says it for another ending, and must agree with a known one."""
    said = next((each for each in Form if file.suffix.lower() == f".{each}"), None)
    form = said or asked
    if form is None or asked not in (None, form):
        what = f"the ending of {file} is of no known form / phần đuôi của {file} không thuộc dạng nào"
        if said is not None:
            what = f"--form {asked} is not that of {file} / không phải dạng của {file}"
        known = ", ".join(f".{each}" for each in Form)
        fail(Exit.USAGE, "unknown-form", what, f"Name one of / Chọn một trong: {known}", as_json)
    return form
