"""Creates an identity: generates keys and certificate requests, and installs the issued certificates.

Keys are PKCS#8 (RFC 5958), requests PKCS#10 (RFC 2986).
Invariant: a private key never leaves its folder and is never overwritten.
Invariant: a certificate is installed only beside its key, in the name of this system, and while it is in force.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from contracts.base.times import rfc3339
from gateway.client.errors import CLIENT_IDENTITY_EXPIRED, CLIENT_TAKEN, CLIENT_USAGE
from gateway.client.identities.identity import (
    ABOUT,
    Identity,
    bad,
    named,
    replace_private,
    unread,
    words,
    write_private,
)
from security import algorithms
from security.algorithms import KeyType
from security.grants.windows import civil
from security.pki import authority

SYSTEM: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # the registry's syntax
_LABEL: Final = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")  # of a host, as DNS has it
USES: Final[Mapping[str, KeyType]] = {"tls": "P-256", "sign": "P-256", "encrypt": "RSA-3072"}
# Files that the operator hands over with the certificates, over a trusted channel.
TRUST: Final = ("ca.crt", "gateway-sign.crt", "log.vkey")
OPTIONAL_TRUST: Final = ("gateway-encrypt.crt",)
HANDED: Final = "gateway.json"  # the gateway's address and key ids, written by `lgsp registry handout`
_TOLD: Final = (  # by the operator: of the gateway, and under which ids the system's own keys were enrolled
    *("gateway", "gateway_key_id", "gateway_encrypt_key_id"),
    *(f"{use}_key_id" for use in USES),
)


class Installed(NamedTuple):
    """The installed certificates, and the files and names in system.json still `missing`."""

    put: dict[str, str]  # use -> end of the certificate
    missing: tuple[str, ...]
    assumed: dict[str, str]  # use -> key id that was not stated: that of a first enrolment


def keygen(system: str, folder: Path, *, hosts: Sequence[str] = (), passphrase: bytes | None = None) -> list[Path]:
    """Create a key and a certificate request for each use; returns the requests, to be sent for enrolment."""
    if SYSTEM.fullmatch(system) is None:
        raise CLIENT_USAGE(
            what=words("no-system-id", system=repr(system)),
        )
    for host in hosts:
        if not _is_host(host):
            raise CLIENT_USAGE(what=words("no-host", host=repr(host)))
    taken = [f"{use}.key" for use in USES if (folder / f"{use}.key").exists()]
    if taken:
        raise CLIENT_TAKEN(folder=folder, files=", ".join(taken))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    requests = []
    for use, kind in USES.items():
        private = algorithms.new_private(kind)
        write_private(folder / f"{use}.key", authority.private_pem(private, passphrase))
        request = folder / f"{use}.csr"
        replace_private(request, authority.make_request(system, private, hosts=hosts if use == "tls" else ()))
        requests.append(request)
    _save(folder, {"system": system})
    return requests


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        # A name whose last label is a number is an address that is wrong: 10.0.0.300 (RFC 1123, section 2.1).
        last = text.rpartition(".")[2]
        return len(text) <= 253 and _NAME.fullmatch(text) is not None and not (last.isdecimal() and last.isascii())
    return True


def install(
    folder: Path,
    certificates: Sequence[Path],
    now: float,
    *,
    facts: dict[str, str],
    trust: Path | None = None,
    passphrase: bytes | None = None,
) -> Installed:
    """Install issued certificates beside their keys; a complete folder is then loaded once as a check.

    `facts` go into system.json (`gateway`, `gateway_key_id`, `sign_key_id`, …). `trust` is a folder with the operator's
    files; the certificates that it says are in it (`lgsp enrol`) are taken where none are named. Keys may come from
    other tools than `keygen`, such as openssl: the certificates name the system.
    """
    handed = _handed(trust)
    if trust is not None and not certificates:
        certificates = [trust / f"{use}.crt" for use in USES if f"{use}_key_id" in handed]
    assumed: dict[str, str] = {}
    about = _about(folder) if (folder / ABOUT).exists() else _from_certificates(folder, certificates)
    keys = {use: _public(folder, use, passphrase) for use in USES if (folder / f"{use}.key").exists()}
    put: dict[str, str] = {}
    accepted: list[tuple[str, bytes]] = []
    for file in certificates:
        leaf, pem = _certificate(folder, file)
        use = next((use for use, public in keys.items() if public == leaf.public_key()), None)
        if use is None:
            names = ", ".join(f"{each}.key" for each in keys) or "*.key"
            raise bad(folder, words("no-key-of-it", file=file.name, keys=names))
        if (system := named(folder, file.name, leaf)) not in (None, about["system"]):
            raise bad(folder, words("other-system", file=file.name, system=system, ours=about["system"]))
        start, end = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
        if not start <= now <= end:
            raise CLIENT_IDENTITY_EXPIRED(file=file, valid_from=civil(start), valid_until=civil(end), now=civil(now))
        accepted.append((use, pem))
        put[use] = rfc3339(end)
        if f"{use}_key_id" not in about | handed | facts:
            assumed[use] = f"{about['system']}.{use}-1"
        agency = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if agency:
            about.setdefault("agency", str(agency[0].value))
    for use, pem in accepted:  # only when all of them fit
        replace_private(folder / f"{use}.crt", pem)
    for name in (*TRUST, *OPTIONAL_TRUST) if trust is not None else ():
        if trust is not None and (trust / name).exists():
            shutil.copyfile(trust / name, folder / name)
    about |= {f"{use}_key_id": key_id for use, key_id in assumed.items()} | handed | facts
    _save(folder, about)
    missing = [name for name in ("tls.crt", "sign.crt", *TRUST) if not (folder / name).exists()]
    missing += [
        f"{ABOUT}: {name}" for name in ("agency", "sign_key_id", "gateway", "gateway_key_id") if name not in about
    ]
    if not missing:
        Identity.load(folder, passphrase=passphrase).check_time(now)
    return Installed(put, tuple(missing), assumed)


def _about(folder: Path) -> dict[str, str]:
    try:
        about: dict[str, str] = json.loads((folder / ABOUT).read_text("utf-8"))
        if not isinstance(about["system"], str):
            raise KeyError("system")
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise unread(folder, ABOUT, wrong) from None
    return about


def _from_certificates(folder: Path, certificates: Sequence[Path]) -> dict[str, str]:
    systems = {named(folder, file.name, _certificate(folder, file)[0]) for file in certificates} - {None}
    if not systems:
        raise unread(folder, ABOUT, FileNotFoundError())
    if len(systems) > 1:
        several = ", ".join(sorted(map(str, systems)))
        raise bad(folder, words("several-systems", systems=several))
    return {"system": str(systems.pop())}


def _handed(trust: Path | None) -> dict[str, str]:
    if trust is None or not (trust / HANDED).exists():
        return {}
    try:
        facts = json.loads((trust / HANDED).read_text("utf-8"))
        return {name: str(facts[name]) for name in _TOLD if name in facts}
    except (OSError, ValueError, TypeError) as wrong:
        raise bad(trust, f"{HANDED}: {wrong}") from None


def _save(folder: Path, about: Mapping[str, str]) -> None:
    replace_private(folder / ABOUT, (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode())


def _public(folder: Path, use: str, passphrase: bytes | None) -> object:
    try:
        return serialization.load_pem_private_key((folder / f"{use}.key").read_bytes(), passphrase).public_key()
    except (ValueError, TypeError) as wrong:  # not PEM, or the passphrase is missing or wrong
        raise bad(folder, f"{use}.key: {str(wrong)[:120]}") from None


def _certificate(folder: Path, file: Path) -> tuple[x509.Certificate, bytes]:
    try:
        pem = file.read_bytes()
        return x509.load_pem_x509_certificates(pem)[0], pem
    except (OSError, ValueError) as wrong:
        raise unread(folder, file, wrong) from None
