"""`lgsp access`: who may what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Data, Json, ReasonEn, ReasonVi, Shorten, Until, app, load_instance
from gateway.commands.output import failures_told

access = typer.Typer(no_args_is_help=True, help="Who may what: proposed, signed by two officers, suspended, explained.")
app.add_typer(access, name="access")
At = Annotated[str | None, typer.Option("--at", help="At another moment than now (2026-12-01T17:30, time in Vietnam).")]
Officer = Annotated[str, typer.Option("--officer", help="Id of the officer who signs.")]


@access.command("propose")
def access_propose(file: Path, data: Data = None, json: Json = False) -> None:
    """Put the grants of a file in as proposals; each holds once two officers have signed it."""
    from gateway.commands import access as command

    with failures_told(json):
        command.propose(load_instance(data, json), file, json)


@access.command("approve")
def access_approve(
    grant: str,
    officer: Officer,
    key: Annotated[
        Path | None, typer.Option("--key", help="The officer's private key (PEM, P-256 or Ed25519).")
    ] = None,
    signature: Annotated[
        str | None, typer.Option("--signature", help="A signature made elsewhere by `lgsp access sign`.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Sign a grant as it stands, as an officer; or, by officer/ID, somebody who is to become one."""
    from gateway.commands import access as command

    with failures_told(json):
        command.approve(load_instance(data, json), grant, officer, key, signature, json)


@access.command("sign")
def access_sign(
    content: Path,
    officer: Officer,
    key: Annotated[Path, typer.Option("--key", help="The officer's private key.")],
    json: Json = False,
) -> None:
    """Sign a content away from the gateway: CONTENT is what `lgsp access show GRANT --canonical` printed."""
    from gateway.commands import access as command

    with failures_told(json):
        command.sign(content, officer, key, json)


@access.command("list")
def access_list(data: Data = None, json: Json = False) -> None:
    """All grants with what holds of them, and the officers."""
    from gateway.commands import access as command

    with failures_told(json):
        command.list_grants(load_instance(data, json), json)


@access.command("show")
def access_show(
    grant: str,
    canonical: Annotated[bool, typer.Option("--canonical", help="Only the bytes that officers sign.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """One grant: its content, its digest, and every signature, those that were voided too."""
    from gateway.commands import access as command

    with failures_told(json):
        command.show(load_instance(data, json), grant, canonical, json)


@access.command("revoke")
def access_revoke(grant: str, data: Data = None, json: Json = False) -> None:
    """Give a grant up for good, with its approvals."""
    from gateway.commands import access as command

    with failures_told(json):
        command.revoke(load_instance(data, json), grant, json)


@access.command("suspend")
def access_suspend(
    grant: str,
    reason_vi: ReasonVi,
    reason_en: ReasonEn,
    until: Until = None,
    shorten: Shorten = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Suspend one grant; its approvals stay, and it holds again when it is resumed."""
    from contracts.base.words import Words
    from gateway.commands import suspend as command

    with failures_told(json):
        command.suspend(load_instance(data, json), "grant", grant, Words(reason_vi, reason_en), until, shorten, json)


@access.command("resume")
def access_resume(grant: str, data: Data = None, json: Json = False) -> None:
    """Let a suspended grant hold again."""
    from gateway.commands import suspend as command

    with failures_told(json):
        command.resume(load_instance(data, json), "grant", grant, json)


@access.command("explain")
def access_explain(
    agency: str, contract: str, operation: str, at: At = None, data: Data = None, json: Json = False
) -> None:
    """Why an agency may, or may not, call an operation: which grant, the fields it sees, hours, what is left of the quota, and whom to ask."""
    from gateway.commands import access_view as command

    with failures_told(json):
        command.explain(load_instance(data, json), agency, contract, operation, at, json)


@access.command("matrix")
def access_matrix(at: At = None, data: Data = None, json: Json = False) -> None:
    """Agency × contract × operation × field: who may what."""
    from gateway.commands import access_view as command

    with failures_told(json):
        command.show_matrix(load_instance(data, json), at, json)
