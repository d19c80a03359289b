"""`lgsp registry handout`: the other half of enrolment, to be given to a system beside its certificates (docs/client.md).

Invariant: nothing in it is secret, and whoever can change it on its way chooses whom the system believes: it travels by a way that both trust.
"""

from __future__ import annotations

import json
from pathlib import Path

from gateway.commands.output import emit
from gateway.keys.keyring import Keyring
from gateway.settings import Settings


def handout(settings: Settings, out: Path, as_json: bool) -> None:
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
    told = "Hand it over by a way that both of you trust. / Giao thư mục này qua kênh mà hai bên tin cậy."
    emit(
        {"ok": True, "folder": str(out), "files": sorted(files), **about},
        as_json,
        "\n".join([*(str(out / name) for name in files), told]),
    )
