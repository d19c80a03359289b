"""An authenticator in software: it registers passkeys and signs challenges as a browser hands them over."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import encode_cbor

from security import jws

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(raw: bytes) -> str:
    return jws.encoded(raw).decode()


@dataclass
class Authenticator:
    """One passkey. `lies` are changes of what it says: `origin`, `rp_id`, `flags`, `type`, `challenge`."""

    origin: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: os.urandom(32))
    count: int = 0
    handle: str = ""

    def create(self, options: dict[str, Any], **lies: Any) -> str:
        self.handle = options["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        credential = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + encode_cbor(cose)
        flags = lies.get("flags", PRESENT | VERIFIED | ATTESTED)
        data = self._data(flags, lies) + credential
        made = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options["challenge"], lies)
        return self._written({"clientDataJSON": text(client), "attestationObject": text(made)})

    def get(self, options: dict[str, Any], **lies: Any) -> str:
        data, client, mark = self.assertion(options["challenge"], **lies)
        response = {"clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(mark)}
        return self._written(response | ({"userHandle": self.handle} if self.handle else {}))

    def assertion(self, challenge: str, /, **lies: Any) -> tuple[bytes, bytes, bytes]:
        """Authenticator data, client data, signature."""
        self.count += 1
        data = self._data(lies.get("flags", PRESENT | VERIFIED), lies)
        client = self._client("webauthn.get", challenge, lies)
        signed = data + hashlib.sha256(client).digest()
        return data, client, self.key.sign(signed, ec.ECDSA(hashes.SHA256()))

    def _data(self, flags: int, lies: dict[str, Any]) -> bytes:
        rp_id = str(lies.get("rp_id", urlsplit(self.origin).hostname))
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, typ: str, challenge: str, lies: dict[str, Any]) -> bytes:
        value = {"type": typ, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps({**value, **{name: lies[name] for name in lies if name not in ("flags", "rp_id")}}).encode()

    def _written(self, response: dict[str, str]) -> str:
        id = text(self.id)
        return json.dumps({"id": id, "rawId": id, "type": "public-key", "response": response})
