"""Protects files of an instance that stands still by its secret, or by a new one in place of the one before.

Theory of operation: first each file is opened and its new form is made; where one opens with neither secret, nothing
was written. Then the files are replaced one by one. `hash.key`, by which people are proved, is the last.
Invariant: each file opens with one of the two secrets at every moment, so what was cut short goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from contracts.base.errors import Failure
from gateway.keys.key_encryption import PLAIN, AtRest, is_protected, replace_secret
from gateway.settings import Settings
from security.pki import authority

_PEM: Final = b"-----BEGIN"
_IN_TOKEN: Final = b"pkcs11:"
_LAST: Final = "hash.key"


def protect(files: Iterable[Path], at_rest: AtRest, before: AtRest = PLAIN) -> Iterator[Path]:
    """The files that were written anew, each when it is. Raises `keys.locked` for one that opens with neither secret;
    then nothing was written.

    `before`: `PLAIN` where the secret stays. A file that is protected already is left then.
    """
    forms = {path: form for path in files if (form := _form(path, at_rest, before)) is not None}
    for path in sorted(forms, key=lambda each: (each.name == _LAST, each)):
        replace_secret(path, forms[path])
        yield path


def cut_short(settings: Settings, secret: Path | None) -> Settings:
    """The settings by which the instance's `hash.key` opens, where an earlier run began to replace its secret by this
    one."""
    with suppress(Failure, OSError):
        if secret is not None and settings.secret_file and secret.is_file():
            new, file = AtRest.from_file(secret), settings.keys / _LAST
            if is_protected(file.read_bytes()) and _opens(file, new):
                return replace(settings, secret_file=str(secret.absolute()))
    return settings


def _form(path: Path, at_rest: AtRest, before: AtRest) -> bytes | None:
    """What to write; None for a file that stays."""
    data = path.read_bytes()
    protected = is_protected(data)
    if data.startswith(_IN_TOKEN) or protected and (before is PLAIN or _opens(path, at_rest)):
        return None
    source = before if protected else PLAIN
    if data.startswith(_PEM):
        private = source.private(path, load_pem_private_key)
        return authority.private_pem(private, at_rest.password)  # type: ignore[arg-type]
    return at_rest.form(path.name, source.read(path))


def _opens(path: Path, at_rest: AtRest) -> bool:
    try:
        if path.read_bytes().startswith(_PEM):
            at_rest.private(path, load_pem_private_key)
        else:
            at_rest.read(path)
    except Failure:
        return False
    return True
