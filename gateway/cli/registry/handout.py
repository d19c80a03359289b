"""`lgsp registry handout`: what a system has to be told of the gateway, in one folder (docs/client.md).

Invariant: nothing in it is secret. Whoever can change it on its way chooses whom the system believes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit

commands = typer.Typer()


@commands.command("handout")
def registry_handout(
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")], data: Data = None, as_json: AsJson = False
) -> None:
    """Write what a system has to be told of the gateway: whom to trust, its keys, its address. `lgsp client install
    --trust` takes it."""
    from gateway.keys import handout

    settings = load_instance(data, as_json)
    files = handout.files(settings)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    advice = "Hand it over by a way that both of you trust. / Giao thư mục này qua kênh mà hai bên tin cậy."
    emit(
        {"ok": True, "folder": str(out), "files": sorted(files), **handout.about(settings)},
        as_json,
        "\n".join([*(str(out / name) for name in files), advice]),
    )
