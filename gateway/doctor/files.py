"""Examines files and keys: modes, protection, the root key, lengths, whether keys open."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Connection, select

from adapters.files import quarantined
from contracts.base.errors import Failure
from gateway.doctor.findings import Finding, finding
from gateway.journal.schema import tables
from gateway.keys.key_encryption import is_protected
from gateway.keys.keyring import Keyring
from gateway.settings import CREDENTIAL, FILE, Settings
from security.keys import load_certificate

ISSUED_RSA_BITS: Final = 3072


def files(settings: Settings) -> Iterator[Finding]:
    keys = key_files(settings)
    secret = settings.secret_path
    pin = [Path(settings.pkcs11_pin_file)] if settings.pkcs11_pin_file else []
    private = [
        settings.keys,
        settings.authority,
        settings.vault_keys,
        *keys,
        # systemd keeps its credentials in a folder for the service alone, and shows mode 0440 for their access list
        *([secret] if secret is not None and not settings.secret_file.startswith(CREDENTIAL) else []),
        *pin,
    ]
    loose = [str(path) for path in private if path.exists() and _open_to_others(path)]
    if loose:
        yield finding("files.modes", paths=", ".join(loose))
    aside = quarantined(settings.drop_root)
    if aside:
        yield finding("files.quarantined", count=len(aside), paths=", ".join(map(str, aside[:8])))
    own = settings.data / FILE
    if _open_to_others(own) and _has_password(own.read_text("utf-8")):
        yield finding("files.settings-secret", path=own)
    clear = [path for path in keys if not is_protected(path.read_bytes())]
    if clear:
        yield finding("keys.unprotected", count=len(clear))
    root = settings.authority / "root.key"
    if root.exists():
        yield finding("keys.root-online", path=root)
    yield from _opens(settings)


def key_files(settings: Settings) -> list[Path]:
    """The files of the instance with a private key or a raw secret."""
    return sorted(path for folder in (settings.keys, settings.authority) for path in folder.rglob("*.key"))


def short_keys(settings: Settings, connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        select(tables.system_key.c.key_id, tables.system_key.c.certificate).where(tables.system_key.c.state == "active")
    )
    keyring = Keyring(settings)
    own = (
        (each.key_id, each.pem().decode("ascii")) for name in keyring.names for each in keyring.generations(name)[:1]
    )
    short = list(_short([*((row.key_id, row.certificate) for row in rows), *own]))
    if short:
        yield finding("keys.short", keys=", ".join(sorted(short)))


def _short(certificates: Iterable[tuple[str, str]]) -> Iterator[str]:
    for key_id, pem in certificates:
        public = load_certificate(pem).public_key()
        if isinstance(public, rsa.RSAPublicKey) and public.key_size < ISSUED_RSA_BITS:
            yield f"{key_id} (RSA {public.key_size})"


def _opens(settings: Settings) -> Iterator[Finding]:
    try:
        keyring = Keyring(settings)
        _ = keyring.at_rest  # without the secret nothing opens: said once
    except Failure as failure:
        yield finding("keys.locked", name="secret_file", reason=failure.what("en").rstrip("."))
        return
    openings: dict[str, Callable[[], object]] = {
        "sign": keyring.signing_key,
        "decrypt": keyring.decrypt_keys,
        "hash.key": keyring.hash_key,
        "ca/tls": lambda: keyring.issuer("tls"),
        "ca/sign": lambda: keyring.issuer("sign"),
        "ca/vendors": lambda: keyring.issuer("vendors"),
    }
    for name, opening in openings.items():
        try:
            opening()
        except FileNotFoundError:  # the authority issues elsewhere
            if not name.startswith("ca/"):
                yield finding("keys.locked", name=name, reason="missing")
        except (Failure, ValueError) as trouble:
            yield finding(
                "keys.locked",
                name=name,
                reason=(trouble.what("en") if isinstance(trouble, Failure) else str(trouble)).rstrip("."),
            )


def _open_to_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _has_password(text: str) -> bool:
    address = next((line for line in text.splitlines() if line.startswith("database:")), "")
    return ":" in address.partition("://")[2].partition("@")[0] and "@" in address
