"""The files that all machines of an instance share: read to be handed on, and installed where they arrive.

    keys/  server, client, sign, decrypt with their generations; hash.key, log.key      log/log.vkey
    ca/    anchors.pem, root.crt, the issuers with their keys, in a sandbox systems.pem; never root.key

Not handed on: the vault's keys (`gateway.vault`), the key of the people's listener, and the machine's own key.
Invariants:
- A key without its certificate is not there yet: what is being made is not handed on.
- Files are replaced one by one, each whole; a key before its certificate. So no reader sees half a pair.
- What is handed on is in the clear only within a sealed bundle; at rest each machine protects it by its own secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from contracts.base.errors import Failure
from gateway.durable import make_folder, sync_folder
from gateway.keys import hardware
from gateway.keys.errors import KEYS_TOKEN
from gateway.keys.key_encryption import AtRest, replace_secret
from gateway.keys.keyring import Keyring
from gateway.machines.errors import MACHINE_BUNDLE
from gateway.settings import Settings
from security.pki.authority import private_pem

_SHARED: Final = re.compile(
    r"keys/(?:server|client|sign|decrypt)(?:-[0-9]{1,6})?\.(?:key|crt|withdrawn|expired)"
    r"|keys/(?:hash|log)\.key|ca/(?:tls|sign)(?:-[0-9]{1,6})?\.(?:key|crt)|ca/root\.crt|ca/anchors\.pem"
    r"|ca/vendors(?:-[0-9]{1,6})?\.(?:key|crt)|ca/systems\.pem|log/log\.vkey"
)
# Besides, for a machine that joins: from when on it watches that nothing goes back.
SEEN: Final = frozenset({"log/checkpoint", "log/registry"})
_RAW: Final = frozenset({"keys/hash.key", "keys/log.key"})
_PEM: Final = b"-----BEGIN"
Stamp = tuple[tuple[str, int, int, int], ...]


class Torn(Exception):
    """Somebody is writing these files: a key does not belong to its certificate."""


def _paths(settings: Settings) -> Iterator[tuple[str, Path]]:
    for folder in ("keys", "ca", "log"):
        place = settings.data / folder
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            name = f"{folder}/{path.name}"
            if _SHARED.fullmatch(name) is not None:
                yield name, path


def stamp(settings: Settings) -> Stamp:
    """Changes when any of the files does; costs no opening of keys."""
    found = []
    for name, path in _paths(settings):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        found.append((name, state.st_mtime_ns, state.st_size, state.st_ino))
    return tuple(found)


def collect(settings: Settings) -> dict[str, bytes]:
    """The shared files in the clear, by path. Raises `Torn`, and a failure if a key does not open."""
    at_rest, files = Keyring(settings).at_rest, dict[str, bytes]()
    for name, path in _paths(settings):
        if name.endswith(".key") and name not in _RAW and not path.with_suffix(".crt").exists():
            continue
        try:
            files[name] = _plain(name, path, at_rest)
        except FileNotFoundError:
            raise Torn(name) from None
    for name, content in files.items():
        certificate = files.get(name.removesuffix(".key") + ".crt")
        if name in _RAW or not name.endswith(".key") or certificate is None or not content.startswith(_PEM):
            continue
        key = load_pem_private_key(content, None)
        if key.public_key() != x509.load_pem_x509_certificate(certificate).public_key():
            raise Torn(name)
    return files


def seen(settings: Settings) -> dict[str, bytes]:
    """What this machine has seen of log and registry: a machine that joins begins there."""
    return {name: (settings.data / name).read_bytes() for name in SEEN if (settings.data / name).exists()}


def _plain(name: str, path: Path, at_rest: AtRest) -> bytes:
    if name in _RAW:
        return at_rest.read(path)
    content = path.read_bytes()
    if not name.endswith(".key") or hardware.place_of(content) is not None:
        return content
    key = at_rest.private(path, load_pem_private_key)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Torn(name)
    return private_pem(key)


def checked(settings: Settings, files: dict[str, bytes], *, joining: bool = False) -> None:
    """Before anything is written. Raises `machine.bundle` for a foreign path, and a failure for a token that has not
    the key that it should."""
    name = next((each for each in files if not _shared(each, joining=joining)), None)
    if name is not None:
        raise MACHINE_BUNDLE(machine=settings.machine, reason=f"it has a file {name[:80]}")
    for name, content in files.items():
        place = hardware.place_of(content) if name.endswith(".key") and name not in _RAW else None
        certificate = files.get(name.removesuffix(".key") + ".crt")
        if place is None or certificate is None:
            continue
        public = hardware.token(settings, place[0]).private(place[1]).public_key()
        if public != x509.load_pem_x509_certificate(certificate).public_key():
            raise KEYS_TOKEN(token=place[0], reason=f"{place[1]} is another key than that of {name}")


def _shared(name: str, *, joining: bool) -> bool:
    return _SHARED.fullmatch(name) is not None or joining and name in SEEN


def install(settings: Settings, files: dict[str, bytes]) -> list[str]:
    """Make the shared files of this machine these. Returns the names of those that changed."""
    at_rest, data = Keyring(settings).at_rest, settings.data
    changed = []
    for name in sorted(files, key=_order):
        path = data / name
        if _same(name, path, files[name], at_rest):
            continue
        make_folder(path.parent)
        replace_secret(path, _at_rest(name, files[name], at_rest))
        changed.append(name)
    for name, path in list(_paths(settings)):
        if name not in files and (not name.endswith(".key") or path.with_suffix(".crt").exists()):
            os.unlink(path)
            changed.append(name)
    for folder in {(data / name).parent for name in changed}:
        sync_folder(folder)
    return changed


def _order(name: str) -> tuple[bool, str]:
    return not name.endswith(".key"), name


def _same(name: str, path: Path, content: bytes, at_rest: AtRest) -> bool:
    try:
        return path.exists() and _plain(name, path, at_rest) == content
    except (Failure, Torn, ValueError):
        return False


def _at_rest(name: str, content: bytes, at_rest: AtRest) -> bytes:
    if name in _RAW:
        return at_rest.form(Path(name).name, content)
    if not name.endswith(".key") or not content.startswith(_PEM):
        return content
    key = load_pem_private_key(content, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise MACHINE_BUNDLE(machine="", reason=f"{name} is no key that the gateway uses")
    return private_pem(key, at_rest.password)
