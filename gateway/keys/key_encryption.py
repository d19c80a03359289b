"""Encrypts secrets at rest by a secret outside the data folder, so that a copy of the folder opens nothing.

The secret is a file of at least 32 random bytes, or text with as much entropy (`lgsp keys protect --new-secret` makes
one). It is never a password that could be guessed, so HKDF (RFC 5869) suffices. From it come the password of private
keys (PKCS#8, PBES2) and the key that seals raw secrets (`security.seal`: AES-256-GCM, the file's name authenticated).
Invariants: a protected file opens only with the secret that protected it, and only under its own name; a plain file can
still be read, so that an interrupted conversion can go on.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from contracts.base.errors import Failure
from gateway.durable import sync_folder, write_new
from gateway.keys.errors import KEYS_LOCKED, KEYS_NO_SECRET
from gateway.settings import Settings
from security.seal import expand, seal, unseal

SECRET_BYTES: Final = 32
T = TypeVar("T")
_MAGIC: Final = b"LGSP sealed 1\n"
_SALT: Final = b"lgsp at rest v1"
_ENCRYPTED: Final = b"BEGIN ENCRYPTED PRIVATE KEY"


@dataclass(frozen=True, slots=True)
class AtRest:
    """Writes and reads secrets. Without a secret (`PLAIN`) they are stored in clear."""

    _key: bytes | None = field(default=None, repr=False)
    password: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> AtRest:
        path = settings.secret_path
        return PLAIN if path is None else cls.from_file(path)

    @classmethod
    def from_file(cls, path: Path) -> AtRest:
        try:
            given = path.read_bytes()
        except OSError as error:
            raise KEYS_NO_SECRET(path=path, reason=error.strerror or str(error)) from None
        secret = given.strip() if given.isascii() else given  # a text's newline is no part of it
        if len(secret) < SECRET_BYTES:
            raise KEYS_NO_SECRET(path=path, reason=f"{len(secret)} bytes < {SECRET_BYTES}")
        extracted = hmac.digest(_SALT, secret, "sha256")
        return cls(expand(extracted, b"raw"), expand(extracted, b"pkcs8").hex().encode())

    def read(self, path: Path) -> bytes:
        """A raw secret, unsealed if it is sealed."""
        data = path.read_bytes()
        if not data.startswith(_MAGIC):
            return data
        if self._key is None:
            raise KEYS_LOCKED(path=path)
        try:
            return unseal(self._key, path.name.encode(), data[len(_MAGIC) :])
        except Failure:
            raise KEYS_LOCKED(path=path) from None

    def form(self, name: str, plain: bytes) -> bytes:
        """What to write for a raw secret, in a file of that name."""
        return plain if self._key is None else _MAGIC + seal(self._key, name.encode(), plain)

    def private(self, path: Path, make: Callable[[bytes, bytes | None], T]) -> T:
        """Calls `make` with a PEM file and its password; a plain file has none."""
        pem = path.read_bytes()
        try:
            return make(pem, self.password if is_protected(pem) else None)
        except (TypeError, ValueError):  # how a protected key without its password, or with a wrong one, is told
            raise KEYS_LOCKED(path=path) from None


PLAIN: Final = AtRest()


def is_protected(data: bytes) -> bool:
    """Whether a key file opens only with a secret from elsewhere, or only names the token that holds the key."""
    return data.startswith((_MAGIC, b"pkcs11:")) or _ENCRYPTED in data[:200]


def replace_secret(path: Path, data: bytes) -> None:
    """Replaces a secret file, whole or not at all."""
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)
    write_new(draft, data)
    draft.replace(path)
    sync_folder(path.parent)
