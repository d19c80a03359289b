"""`lgsp registry enrol`, `revoke`, `keys` and `lgsp ca`: certificates, and the authority that issues them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Data, Json, app, load_instance
from gateway.cli.registry import registry
from gateway.commands.output import failures_told

ca = typer.Typer(no_args_is_help=True, help="The embedded certification authority.")
app.add_typer(ca, name="ca")


class Use(StrEnum):
    TLS = "tls"
    SIGN = "sign"
    ENCRYPT = "encrypt"


class Issuer(StrEnum):
    TLS = "tls"
    SIGN = "sign"


@registry.command("enrol")
def registry_enrol(
    system: str,
    use: Annotated[Use, typer.Option("--use", help="What the key is for.")],
    request: Annotated[
        Path | None,
        typer.Option("--request", help="Certificate request (PKCS#10, PEM) that the embedded authority answers."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Certificate (PEM) that an authority of the registry issued.")
    ] = None,
    key_id: Annotated[str | None, typer.Option("--id", help="Id of the key (default: <system>.<use>-<n>).")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write the certificate.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Register a key of a system, beside those it has; the certificate is issued for a request, or was made outside."""
    from gateway.commands import identities as command

    with failures_told(json):
        command.enrol(load_instance(data, json), system, use.value, request, certificate, key_id, out, json)


@registry.command("revoke")
def registry_revoke(
    key: str,
    reason: Annotated[str, typer.Option("--reason", help="Why, as RFC 5280 names it: keyCompromise, superseded, …")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Withdraw a key for good, from the next request on; the revocation list tells others."""
    from gateway.commands import identities as command

    with failures_told(json):
        command.revoke(load_instance(data, json), key, reason, json)


@registry.command("keys")
def registry_keys(
    system: Annotated[str | None, typer.Argument()] = None, data: Data = None, json: Json = False
) -> None:
    """The keys of all systems, or of one: what for, in force or not, how long."""
    from gateway.commands import identities as command

    with failures_told(json):
        command.show(load_instance(data, json), system, json)


@registry.command("refresh")
def registry_refresh(data: Data = None, json: Json = False) -> None:
    """Ask the outside authorities now what they have revoked, without waiting for the keeper's next round."""
    from gateway.commands import identities as command

    with failures_told(json):
        command.refresh(load_instance(data, json), json)


@ca.command("show")
def ca_show(data: Data = None, json: Json = False) -> None:
    """Root and issuers: who, how long, and whether the root key is offline."""
    from gateway.commands import ca as command

    with failures_told(json):
        command.show(load_instance(data, json), json)


@ca.command("renew")
def ca_renew(issuer: Issuer, data: Data = None, json: Json = False) -> None:
    """Make an issuer anew; needs the root key. What the one before has issued stays in force."""
    from gateway.commands import ca as command

    with failures_told(json):
        command.renew(load_instance(data, json), issuer.value, json)


@ca.command("crl")
def ca_crl(
    issuer: Annotated[str, typer.Argument(help="tls, sign, or the number of one that was replaced, as tls-1.")] = "tls",
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it (DER).")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """The revocation list of an issuer, made anew if it is not current."""
    from gateway.commands import ca as command

    with failures_told(json):
        command.crl(load_instance(data, json), issuer, out, json)
