"""`lgsp client join`: a vendor enrols in a sandbox."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.client.kit import Passphrase, kit_failures, secret_in
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked:
    """What the vendor asks for."""

    name: Annotated[str, typer.Option("--name", help="Name of the vendor's organisation.")]
    contact: Annotated[str, typer.Option("--contact", help="E-mail address of the vendor.")]
    contract: Annotated[list[str], typer.Option("--contract", help="A contract, such as field-report/v1; repeatable.")]
    role: Annotated[
        str, typer.Option("--role", help="What the system does: `caller`, `provider` (it is called) or `both`.")
    ] = "caller"
    protocol: Annotated[str, typer.Option("--protocol", help="How it is called: `rest` or `soap`.")] = "rest"
    address: Annotated[str, typer.Option("--address", help="Where it is called: https, without a query.")] = ""
    code: Annotated[str, typer.Option("--code", help="Invitation code, where the sandbox asks for one.")] = ""


@commands.command("join")
@grouped
def client_join(
    url: Annotated[str, typer.Argument(help="Address of the sandbox's pages, such as https://sandbox.example.")],
    asked: Asked,
    out: Annotated[Path, typer.Option("--out", help="The identity folder that is made, or goes on.")],
    anchors: Annotated[
        Path | None, typer.Option("--anchors", help="Authorities (PEM) of the pages' TLS certificate.")
    ] = None,
    passphrase: Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Enrol in a sandbox: keys made here, certificates at once, and a first call to paste."""
    from gateway.client.identities import join

    wanted = join.Wanted(
        name=asked.name,
        contact=asked.contact,
        contracts=tuple(asked.contract),
        role=asked.role,
        protocol=asked.protocol,
        address=asked.address,
        code=asked.code,
    )
    with kit_failures(as_json):
        done = asyncio.run(join.join(url, wanted, out, anchors=anchors, passphrase=secret_in(passphrase)))
    lines = [f"{done.tenant} {done.system}: {out}", done.page]
    first = next(iter(done.calls), None)
    for tool, text in (first["commands"] if first is not None else {}).items():
        lines += ["", f"# {tool}", f"cd {out}", str(text)]
    result = {"ok": True, "tenant": done.tenant, "system": done.system, "folder": str(out), "page": done.page}
    emit({**result, "calls": list(done.calls)}, as_json, "\n".join(lines))
