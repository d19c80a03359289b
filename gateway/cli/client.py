"""`lgsp client`: what a component system does towards a gateway, from its own identity folder. Needs no instance of the gateway."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Json, app, identity_folder

client = typer.Typer(no_args_is_help=True, help="A component system's calls to a gateway: signed, verified, witnessed.")
app.add_typer(client, name="client")

IdentityDir = Annotated[
    Path,
    typer.Option(
        "--identity",
        help="The system's identity folder, or its name in that of the instance ($LGSP_DATA, else ./lgsp-data).",
    ),
]
Passphrase = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the passphrase of encrypted private keys.")
]
State = Annotated[
    Path | None, typer.Option("--state", help="Folder for checkpoints (default: `checkpoints` in the identity folder).")
]
MessageId = Annotated[str | None, typer.Option("--id", help="Id of the message; give it again to repeat the message.")]


class Language(StrEnum):
    VI = "vi"
    EN = "en"


@client.command("call")
def client_call(
    method: str,
    path: Annotated[str, typer.Argument(help="Such as /indicator/v1/values?indicator=…&area=…&period=…")],
    identity: IdentityDir,
    body: Annotated[str | None, typer.Option("--body", help="File with the body; - reads standard input.")] = None,
    message_id: MessageId = None,
    content_type: Annotated[str, typer.Option("--type", help="Media type of the body.")] = "application/json",
    language: Annotated[
        Language, typer.Option("--language", help="Language of the words in the answer.")
    ] = Language.VI,
    passphrase: Passphrase = None,
    state: State = None,
    json: Json = False,
) -> None:
    """One signed REST call; prints the proven answer."""
    from gateway.commands import client as command

    command.call(
        identity_folder(identity, None, json),
        passphrase,
        state,
        method.upper(),
        path,
        body,
        message_id,
        content_type,
        language.value,
        json,
    )


@client.command("soap")
def client_soap(
    contract: Annotated[str, typer.Argument(help="Such as incident-alert/v1.")],
    file: Annotated[
        str,
        typer.Argument(
            help="The element for the Body: the system's own format, or the WSDL's wrapper; - reads standard input."
        ),
    ],
    identity: IdentityDir,
    message_id: MessageId = None,
    action: Annotated[
        str | None, typer.Option("--action", help="SOAPAction of the WSDL in use (default: the canonical one).")
    ] = None,
    version: Annotated[str, typer.Option("--soap", help="1.1 or 1.2.")] = "1.1",
    passphrase: Passphrase = None,
    state: State = None,
    json: Json = False,
) -> None:
    """One signed SOAP call; prints the element in the proven answer's Body."""
    from gateway.commands import client as command

    command.soap(
        identity_folder(identity, None, json), passphrase, state, contract, file, message_id, action, version, json
    )


@client.command("token")
def client_token(identity: IdentityDir, passphrase: Passphrase = None, json: Json = False) -> None:
    """Fetch an access token, bound to the client certificate, and print it."""
    from gateway.commands import client as command

    command.token(identity_folder(identity, None, json), passphrase, json)


@client.command("feed")
def client_feed(
    contract: Annotated[str, typer.Argument(help="Such as incident-alert/v1.")],
    identity: IdentityDir,
    after: Annotated[str | None, typer.Option("--after", help="Cursor `next` of the page before.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many events.")] = 100,
    passphrase: Passphrase = None,
    state: State = None,
    json: Json = False,
) -> None:
    """One page of a feed, an event a line; the cursor to go on with is told on standard error."""
    from gateway.commands import client as command

    command.feed(identity_folder(identity, None, json), passphrase, state, contract, after, limit, json)


@client.command("prove")
def client_prove(
    transfer: str,
    identity: IdentityDir,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the proofs as files (C2SP tlog-proof).")] = None,
    passphrase: Passphrase = None,
    state: State = None,
    json: Json = False,
) -> None:
    """Proofs that a transfer's entries stand in the audit log, checked here."""
    from gateway.commands import client as command

    command.prove(identity_folder(identity, None, json), passphrase, state, transfer, out, json)


@client.command("checkpoints")
def client_checkpoints(
    identity: IdentityDir,
    offline: Annotated[
        bool, typer.Option("--offline", help="Only show what is kept; ask the gateway nothing.")
    ] = False,
    passphrase: Passphrase = None,
    state: State = None,
    json: Json = False,
) -> None:
    """Fetch the log's newest checkpoint, prove that it goes on from the one kept here, and show what is kept."""
    from gateway.commands import client as command

    command.checkpoints(identity_folder(identity, None, json), passphrase, state, offline, json)


@client.command("accept-log")
def client_accept_log(
    identity: IdentityDir,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Go on with the new log; without it, what it proves and lacks is only shown."),
    ] = False,
    vkey: Annotated[
        str | None,
        typer.Option(
            "--vkey",
            help="The new log's key (or a file with it), as the operators handed it over by a way that you trust.",
        ),
    ] = None,
    lost: Annotated[
        bool,
        typer.Option(
            "--lost", help="Accept it although the gateway does not own up to entries that this system saw signed."
        ),
    ] = False,
    passphrase: Passphrase = None,
    state: State = None,
    json: Json = False,
) -> None:
    """After a gateway was restored and opened a new log: check that it follows the old one, and go on as its witness."""
    from gateway.commands import acceptlog as command

    command.accept_log(identity_folder(identity, None, json), passphrase, state, accept, vkey, lost, json)


@client.command("keygen")
def client_keygen(
    system: Annotated[str, typer.Argument(help="Id of the component system.")],
    out: Annotated[Path, typer.Option("--out", help="The identity folder that begins here.")],
    host: Annotated[
        list[str] | None, typer.Option("--host", help="Name or address at which the system itself is called, if it is.")
    ] = None,
    passphrase: Passphrase = None,
    json: Json = False,
) -> None:
    """Keys for TLS, signing and encryption, and the certificate requests to be sent for enrolment."""
    from gateway.commands import client as command

    command.keygen(system, out, host or [], passphrase, json)


@client.command("install")
def client_install(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The identity folder: what `keygen` began, or keys that were made elsewhere (tls.key, sign.key, encrypt.key)."
        ),
    ],
    certificate: Annotated[
        list[Path] | None,
        typer.Option("--certificate", help="An issued certificate (PEM); may be given several times."),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust",
            help="Folder that the operator handed over (`lgsp registry handout`): ca.crt, gateway-sign.crt, log.vkey, …",
        ),
    ] = None,
    gateway: Annotated[
        str | None, typer.Option("--gateway", help="The gateway's public address, where the folder does not say it.")
    ] = None,
    gateway_key_id: Annotated[
        str | None, typer.Option("--gateway-key-id", help="Id of the key in gateway-sign.crt, likewise.")
    ] = None,
    sign_key_id: Annotated[
        str | None, typer.Option("--sign-key-id", help="Id under which the signing key was enrolled.")
    ] = None,
    encrypt_key_id: Annotated[
        str | None, typer.Option("--encrypt-key-id", help="Id under which the encryption key was enrolled.")
    ] = None,
    agency: Annotated[
        str | None, typer.Option("--agency", help="Code of the agency, where the certificate does not name it.")
    ] = None,
    passphrase: Passphrase = None,
    json: Json = False,
) -> None:
    """Put issued certificates beside their keys, check that they fit, and say what is still missing."""
    from gateway.commands import client as command

    given = {
        "gateway": gateway, "gateway_key_id": gateway_key_id, "sign_key_id": sign_key_id, "encrypt_key_id": encrypt_key_id, "agency": agency
    }  # fmt: skip
    facts = {name: value for name, value in given.items() if value is not None}
    command.install(folder, certificate or [], trust, facts, passphrase, json)
