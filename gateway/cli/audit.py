"""`lgsp audit`: the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Data, Json, app, identity_folder, load_instance
from gateway.commands.output import Exit, fail, failures_told

audit = typer.Typer(no_args_is_help=True, help="The audit log: verify, show, export, watch.")
app.add_typer(audit, name="audit")

Vkey = Annotated[
    str | None,
    typer.Option("--vkey", help="Trusted verifier key, or a file that holds it, from outside what is checked."),
]
Origin = Annotated[
    str | None,
    typer.Option("--origin", help="Expected origin of the log; that of one that ended by a restore looks at that log."),
]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Over HTTP: the gateway's address. Needs --vkey, or --identity with its log.vkey."),
]
Identity = Annotated[
    Path | None,
    typer.Option(
        "--identity",
        help="Over HTTP: identity folder of a system of the centre, by which entries may be read; or its name in the instance's folder.",
    ),
]
Passphrase = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the passphrase of that identity's private keys.")
]
Trust = Annotated[
    Path | None,
    typer.Option("--trust", help="Over HTTP: certificates that TLS trusts (PEM), if not those of this host."),
]


def by_name(data: Path | None, identity: Path | None, as_json: bool) -> tuple[Path | None, Path | None]:
    """An identity that is no folder here, by its name among those of the instance; which instance that is, `--data` says, and so much only."""
    if identity is None:
        return data, identity
    found = identity_folder(identity, data, as_json)
    return (data if found is identity else None), found


@audit.command("verify")
def audit_verify(
    data: Data = None,
    json: Json = False,
    vkey: Vkey = None,
    origin: Origin = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="A checkpoint kept outside, which the log must continue; may be repeated."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--from", help="Check this export instead of the instance's database.")
    ] = None,
    url: Url = None,
    identity: Identity = None,
    passphrase: Passphrase = None,
    trust: Trust = None,
    first: Annotated[int | None, typer.Option("--from-index", min=0, help="Check only from this entry on.")] = None,
    last: Annotated[
        int | None, typer.Option("--to-index", min=0, help="Check only up to this entry, itself included.")
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            "--witness",
            help="Verifier key of a witness, or a file that holds it; checks the stored cosignatures. May be repeated.",
        ),
    ] = None,
    quorum: Annotated[int, typer.Option("--quorum", min=1, help="How many of these witnesses must have cosigned.")] = 1,
    stamp_anchors: Annotated[
        Path | None,
        typer.Option(
            "--stamp-anchors", help="Authorities (PEM) that the time-stamps lead up to; checks the stored ones."
        ),
    ] = None,
) -> None:
    """Derive the tree anew from the raw entries and compare it with the signed checkpoint; a range by the tiles that lead to its root."""
    from gateway.commands import audit_verify as command
    from gateway.commands.audit_remote import Place
    from gateway.commands.vouchers import vouchers_of

    data, identity = by_name(data, identity, json)
    sources = [
        name
        for name, given in (("--data", data), ("--from", export), ("--url or --identity", url or identity))
        if given
    ]
    if len(sources) > 1:
        what = f"{' and '.join(sources)} name two logs / chỉ ra hai nhật ký khác nhau"
        fail(Exit.USAGE, "usage", what, "Give one of them. / Chỉ dùng một tham số.", json)
    if (witness or stamp_anchors) and (export or url or identity):
        what = "--witness and --stamp-anchors check what the instance's database keeps / chỉ kiểm tra được trong cơ sở dữ liệu của phiên bản"
        fail(
            Exit.USAGE,
            "usage",
            what,
            "Leave --from, --url and --identity away. / Bỏ --from, --url và --identity.",
            json,
        )
    with failures_told(json):
        asked = command.Asked(origin, checkpoint or [], first, last, json)
        if export is not None:
            command.of_export(export, vkey, asked)
        elif url is not None or identity is not None:
            command.over_http(Place(url, identity, passphrase, trust, vkey), asked)
        else:
            command.of_database(
                load_instance(data, json), vkey, asked, vouchers_of(witness, quorum, stamp_anchors, json)
            )


@audit.command("show")
def audit_show(transfers: list[str], data: Data = None, json: Json = False) -> None:
    """All entries of the transfers named, and those about them such as repeats, in the order of the log."""
    from gateway.commands import audit as command

    with failures_told(json):
        command.show(load_instance(data, json), transfers, json)


@audit.command("export")
def audit_export(
    folder: Path,
    data: Data = None,
    json: Json = False,
    first: Annotated[
        int | None, typer.Option("--from", min=0, help="Only from this entry on (rounded to a whole bundle of 256).")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=0, help="Only up to this entry (rounded to a whole bundle of 256).")
    ] = None,
    transfers: Annotated[
        list[str] | None,
        typer.Option(
            "--transfer",
            help="Proofs of this transfer's entries, beside their bytes; without --from and --to nothing else.",
        ),
    ] = None,
    origin: Origin = None,
) -> None:
    """Write entries, tiles and checkpoint as plain files, in the layout of tlog-tiles."""
    from gateway.commands import audit_export as command

    with failures_told(json):
        command.write(load_instance(data, json), folder, first, last, transfers or [], json, origin)


@audit.command("origins")
def audit_origins(data: Data = None, json: Json = False) -> None:
    """The log that goes on, and those that ended because a restore lacked what was signed."""
    from gateway.commands import audit_origins as command

    with failures_told(json):
        command.origins_of(load_instance(data, json), json)
