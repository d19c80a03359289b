"""`lgsp client keygen|install`: the identity folder of a component system."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.client.kit import Passphrase, kit_failures, secret_in
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Facts:
    """What neither the certificates nor the folder of the operator say."""

    gateway: Annotated[
        str | None, typer.Option("--gateway", help="The gateway's public address, where the folder does not say it.")
    ] = None
    gateway_key_id: Annotated[
        str | None, typer.Option("--gateway-key-id", help="Id of the key in gateway-sign.crt, likewise.")
    ] = None
    sign_key_id: Annotated[
        str | None, typer.Option("--sign-key-id", help="Id under which the signing key was enrolled.")
    ] = None
    encrypt_key_id: Annotated[
        str | None, typer.Option("--encrypt-key-id", help="Id under which the encryption key was enrolled.")
    ] = None
    agency: Annotated[
        str | None, typer.Option("--agency", help="Code of the agency, where the certificate does not name it.")
    ] = None


@commands.command("keygen")
def client_keygen(
    system: Annotated[str, typer.Argument(help="Id of the component system.")],
    out: Annotated[Path, typer.Option("--out", help="The identity folder that begins here.")],
    host: Annotated[
        list[str] | None, typer.Option("--host", help="Name or address at which the system itself is called, if it is.")
    ] = None,
    passphrase: Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Keys for TLS, signing and encryption, and the certificate requests to be sent for enrolment."""
    from gateway.client.identities import enrol

    with kit_failures(as_json):
        requests = enrol.keygen(system, out, hosts=host or (), passphrase=secret_in(passphrase))
        then = (
            "Send the requests (.csr) to the gateway's operator; never a .key."
            " / Gửi các tệp .csr cho đơn vị vận hành cổng trao đổi dữ liệu; không gửi tệp .key."
        )
        lines = [*map(str, requests), then]
        emit(
            {"ok": True, "system": system, "folder": str(out), "requests": [str(each) for each in requests]},
            as_json,
            "\n".join(lines),
        )


@commands.command("install")
@grouped
def client_install(
    folder: Annotated[
        Path,
        typer.Argument(
            help=(
                "The identity folder: what `keygen` began, or keys that were made elsewhere (tls.key,"
                " sign.key, encrypt.key)."
            )
        ),
    ],
    facts: Facts,
    certificate: Annotated[
        list[Path] | None,
        typer.Option("--certificate", help="An issued certificate (PEM); may be given several times."),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust",
            help=(
                "Folder that the operator handed over (`lgsp registry handout`): ca.crt, gateway-sign.crt, log.vkey, …"
            ),
        ),
    ] = None,
    passphrase: Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Put issued certificates beside their keys, check that they fit, and say what is still missing."""
    from gateway.client.identities import enrol
    from security.grants.windows import civil

    asked = {name: value for name, value in asdict(facts).items() if value is not None}
    with kit_failures(as_json):
        done = enrol.install(
            folder, certificate or (), time.time(), facts=asked, trust=trust, passphrase=secret_in(passphrase)
        )
        lines = [f"{use}.crt until {civil(until)}" for use, until in done.put.items()]
        lines += [f"missing: {each} / còn thiếu: {each}" for each in done.missing] or ["complete / đủ"]
        if assumed := " ".join(f"--{use}-key-id {key_id}" for use, key_id in done.assumed.items() if use != "tls"):
            lines.append(
                f"Taken as enrolled under {assumed}. If the operator names other ids, as for a later key, run this"
                " again with those. / "
                f"Coi như đã đăng ký với {assumed}. Nếu đơn vị vận hành báo mã khóa khác, như với khóa đổi mới, chạy"
                " lại với mã ấy."
            )
        result = {"ok": not done.missing, "put": done.put, "missing": list(done.missing), "assumed": done.assumed}
        emit(result, as_json, "\n".join(lines))
