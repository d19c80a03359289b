"""`lgsp client file-send`, `lgsp client file-fetch`: files beside documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.client.kit import Kit, kit_failures
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit

commands = typer.Typer()


@commands.command("file-send")
@grouped
def client_file_send(
    file: Annotated[Path, typer.Argument(help="The file to upload.", exists=True, dir_okay=False)],
    contract: Annotated[str, typer.Argument(help="Of the document, such as official-document/v1.")],
    operation: Annotated[str, typer.Argument(help="Of the document, such as sendDocument.")],
    kit: Kit,
    media_type: Annotated[str, typer.Option("--media-type", help="What the file is.")] = "application/octet-stream",
    as_json: AsJson = False,
) -> None:
    """Upload a file that a document will refer to; says the reference to write into the document."""
    from security.grants.windows import civil

    with kit_failures(as_json), kit.client(as_json) as client:
        sent = client.send_file(file, contract, operation, media_type=media_type)
        told = {"reference": sent.reference, "bytes": sent.size, "sha256": sent.sha256, "until": sent.until}
        lines = f"{sent.reference}\n  {sent.size} bytes, SHA-256 {sent.sha256}"
        lines += f"; name it in a document by {civil(sent.until)}"
        emit({"ok": True, **told}, as_json, lines)


@commands.command("file-fetch")
@grouped
def client_file_fetch(
    transfer: Annotated[str, typer.Argument(help="The transfer of the document, or the id of its event.")],
    reference: Annotated[str, typer.Argument(help="The reference as the document has it.")],
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    kit: Kit,
    as_json: AsJson = False,
) -> None:
    """Fetch a file that a document refers to. It appears when all of it has come, as the reference says."""
    with kit_failures(as_json), kit.client(as_json) as client:
        size = client.fetch_file(transfer, reference, file)
        emit({"ok": True, "file": str(file), "bytes": size}, as_json, f"{file}: {size} bytes")
