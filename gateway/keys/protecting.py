"""Protects files of an instance that stands still by its secret, or by a new one in place of the one before.

Invariant: each file opens with one of the two secrets at every moment, so what was cut short goes on.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from contracts.base.errors import Failure
from gateway.keys.key_encryption import PLAIN, AtRest, is_protected, replace_secret
from security.pki import authority

_PEM = b"-----BEGIN"
_IN_TOKEN = b"pkcs11:"


def protect(path: Path, at_rest: AtRest, before: AtRest = PLAIN) -> bool:
    """Whether the file had to be written anew. Raises `keys.locked` for one that opens with neither secret.

    `before`: `PLAIN` where the secret stays. A file that is protected already is left then.
    """
    data = path.read_bytes()
    protected = is_protected(data)
    if data.startswith(_IN_TOKEN) or protected and (before is PLAIN or _opens(path, data, at_rest)):
        return False
    source = before if protected else PLAIN
    if data.startswith(_PEM):
        private = source.private(path, load_pem_private_key)
        replace_secret(path, authority.private_pem(private, at_rest.password))  # type: ignore[arg-type]
    else:
        replace_secret(path, at_rest.form(path.name, source.read(path)))
    return True


def _opens(path: Path, data: bytes, at_rest: AtRest) -> bool:
    try:
        if data.startswith(_PEM):
            at_rest.private(path, load_pem_private_key)
        else:
            at_rest.read(path)
    except Failure:
        return False
    return True
