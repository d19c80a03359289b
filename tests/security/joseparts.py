"""Keys of a sender and a receiver for tests of encrypted bodies, and JOSE messages built by hand, right or wrong."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

from security.algorithms import new_private
from security.encryption_keys import DecryptKey
from security.keys import SigningKey, VerifyKey
from security.pki.authority import issue_encryption, issue_signing, make_issuer, make_root, private_pem

NOW = float(int(time.time()))
PAYLOAD = '{"dossier":"000.00.22.H14-261119-0001","applicant":"Nông Thị Ngọc Ánh"}'.encode()
_ISSUER = make_issuer(make_root("Root", NOW), "Signing", NOW, days=7000)


def signer(system: str, kind: str = "P-256", algorithm: str | None = None) -> SigningKey:
    private = new_private(kind)  # type: ignore[arg-type]
    certificate = issue_signing(_ISSUER, system, private.public_key(), NOW)
    return SigningKey.make(f"{system}.sign-1", private, certificate, algorithm=algorithm, system=system)


def receiver(name: str, kind: str, now: float = NOW) -> DecryptKey:
    private = new_private(kind)  # type: ignore[arg-type]
    return DecryptKey.from_pem(
        f"{name}.encrypt-1", private_pem(private), issue_encryption(_ISSUER, name, private.public_key(), now - 3600)
    )


@dataclass(frozen=True)
class Known:
    """A registry of signing keys."""

    keys: dict[str, VerifyKey]

    def __call__(self, key_id: str) -> VerifyKey | None:
        return self.keys.get(key_id)


def known(*signers: SigningKey) -> Known:
    return Known({each.key_id: each.verify_key() for each in signers})


def b64(raw: bytes | dict[str, Any] | str) -> bytes:
    if isinstance(raw, dict):
        raw = json.dumps(raw)
    return base64.urlsafe_b64encode(raw.encode() if isinstance(raw, str) else raw).rstrip(b"=")


def header_of(body: bytes) -> dict[str, Any]:
    head = body.split(b".")[0]
    made: dict[str, Any] = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    return made


def with_header(body: bytes, header: dict[str, Any] | str) -> bytes:
    """The same message under another header."""
    return b".".join([b64(header), *body.split(b".")[1:]])
