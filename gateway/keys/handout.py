"""What a system has to be told of the gateway: whom to trust, its keys, its address (docs/client.md).

Invariant: nothing in it is secret. Whoever can change it on its way chooses whom the system believes.
"""

from __future__ import annotations

import json
from typing import Final

from gateway.keys.keyring import Keyring
from gateway.settings import Settings

ABOUT: Final = "gateway.json"


def files(settings: Settings) -> dict[str, bytes]:
    """The files by their names; `lgsp client install --trust` takes the folder of them."""
    keyring = Keyring(settings)
    return {
        "ca.crt": keyring.trust_anchors.read_bytes(),
        "gateway-sign.crt": keyring.current("sign").pem(),
        "gateway-encrypt.crt": keyring.current("decrypt").pem(),
        "log.vkey": keyring.log_vkey.read_bytes(),
        ABOUT: json.dumps(about(settings), indent=2).encode() + b"\n",
    }


def about(settings: Settings) -> dict[str, str]:
    """The gateway's address and key ids."""
    keyring = Keyring(settings)
    ids = {name: keyring.current(key).key_id for name, key in (("", "sign"), ("encrypt_", "decrypt"))}
    return {"gateway": settings.base, **{f"gateway_{name}key_id": id for name, id in ids.items()}}
