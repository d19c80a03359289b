"""Where an instance's own keys lie, and how they are made: files with strict modes, outside the database.

    ca/    root, TLS issuer and signing issuer of the embedded authority      keys/  the gateway's own
           (a production instance keeps root.key offline)                            server, client, sign, decrypt, hash.key, log.key

Invariant: a key file is readable by its owner alone, and is written whole or not at all; nothing here is ever logged.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.settings import Settings
from security import authority
from security.authority import Authority
from security.encryptkeys import DecryptKey
from security.keys import SigningKey

SYSTEM: Final = "gateway"
SIGN_KEY_ID: Final = "gateway.sign-1"
DECRYPT_KEY_ID: Final = "gateway.encrypt-1"


class Keyring:
    """Reads what `make_keys` wrote. Paths for what TLS wants as files, values for the rest."""

    def __init__(self, settings: Settings) -> None:
        self._keys = settings.keys
        self._ca = settings.authority
        self.server_certificate: Final = self._keys / "server.crt"
        self.server_key: Final = self._keys / "server.key"
        self.client_certificate: Final = self._keys / "client.crt"
        self.client_key: Final = self._keys / "client.key"
        self.sign_certificate: Final = self._keys / "sign.crt"
        self.encrypt_certificate: Final = self._keys / "decrypt.crt"
        self.trust_anchors: Final = self._ca / "anchors.pem"
        self.client_anchors: Final = self._ca / "anchors.pem"
        self.log_key: Final = self._keys / "log.key"
        self.log_vkey: Final = settings.data / "log" / "log.vkey"

    def signing_key(self) -> SigningKey:
        return SigningKey.from_pem(SIGN_KEY_ID, (self._keys / "sign.key").read_bytes(), self.sign_certificate.read_bytes())

    def decrypt_keys(self) -> tuple[DecryptKey, ...]:
        """What bodies to the gateway are encrypted for."""
        return (DecryptKey.from_pem(DECRYPT_KEY_ID, (self._keys / "decrypt.key").read_bytes(), self.encrypt_certificate.read_bytes()),)

    def hash_key(self) -> bytes:
        return (self._keys / "hash.key").read_bytes()

    def issuer(self, name: str) -> Authority:
        """`tls` or `sign`: an issuer of the embedded authority with the root above it."""
        return Authority.from_pem(
            (self._ca / f"{name}.crt").read_bytes(), (self._ca / f"{name}.key").read_bytes(), [(self._ca / "root.crt").read_bytes()]
        )


def make_keys(settings: Settings, now: float, *, hosts: Sequence[str]) -> None:
    """The embedded authority and the gateway's own keys, for a new instance. `hosts` are the names in the server's certificate."""
    ca, keys = settings.authority, settings.keys
    for folder in (ca, keys, settings.vault_keys):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    root = authority.make_root(f"{settings.name} root", now)
    issuers = {name: authority.make_issuer(root, f"{settings.name} {name} issuer", now) for name in ("tls", "sign")}
    write_secret(ca / "root.key", root.private_pem())
    (ca / "root.crt").write_bytes(root.pem)
    for name, issuer in issuers.items():
        write_secret(ca / f"{name}.key", issuer.private_pem())
        (ca / f"{name}.crt").write_bytes(issuer.pem)
    (ca / "anchors.pem").write_bytes(root.pem + issuers["tls"].pem + issuers["sign"].pem)

    server, client, sign = (authority.new_private() for _ in range(3))
    chain = issuers["tls"].pem
    write_secret(keys / "server.key", authority.private_pem(server))
    (keys / "server.crt").write_bytes(authority.issue_server(issuers["tls"], server.public_key(), hosts, now) + chain)
    write_secret(keys / "client.key", authority.private_pem(client))
    (keys / "client.crt").write_bytes(authority.issue_tls(issuers["tls"], SYSTEM, client.public_key(), now) + chain)
    write_secret(keys / "sign.key", authority.private_pem(sign))
    (keys / "sign.crt").write_bytes(authority.issue_signing(issuers["sign"], SYSTEM, sign.public_key(), now))
    decrypt = authority.new_private("RSA-3072")  # SOAP callers know no other kind
    write_secret(keys / "decrypt.key", authority.private_pem(decrypt))
    (keys / "decrypt.crt").write_bytes(authority.issue_encryption(issuers["sign"], SYSTEM, decrypt.public_key(), now))
    write_secret(keys / "hash.key", secrets.token_bytes(32))


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read; it must not exist yet."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
