"""`lgsp registry handout`: what a system has to be told of the gateway, in one folder (docs/client.md).

Invariant: nothing in it is secret. Whoever can change it on its way chooses whom the system believes.
"""

from __future__ import annotations

import json
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
    from gateway.keys.keyring import Keyring

    settings = load_instance(data, as_json)
    keyring = Keyring(settings)
    sign, decrypt = keyring.current("sign"), keyring.current("decrypt")
    about = {"gateway": settings.base, "gateway_key_id": sign.key_id, "gateway_encrypt_key_id": decrypt.key_id}
    files = {
        "ca.crt": keyring.trust_anchors.read_bytes(),
        "gateway-sign.crt": sign.pem(),
        "gateway-encrypt.crt": decrypt.pem(),
        "log.vkey": keyring.log_vkey.read_bytes(),
        "gateway.json": json.dumps(about, indent=2).encode() + b"\n",
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    advice = "Hand it over by a way that both of you trust. / Giao thư mục này qua kênh mà hai bên tin cậy."
    emit(
        {"ok": True, "folder": str(out), "files": sorted(files), **about},
        as_json,
        "\n".join([*(str(out / name) for name in files), advice]),
    )
