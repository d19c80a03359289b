"""Invitations: a certificate that joins one machine, once, and the file that carries it there.

The certificate names `urn:lgsp:machine:NAME` and no system, so it identifies nobody anywhere else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding

from gateway.durable import write_new
from gateway.machines.errors import MACHINE_INVITATION
from gateway.machines.records import URI
from gateway.machines.secrets import Secret
from security import algorithms
from security.keys import load_certificate, thumbprint
from security.pki import authority
from security.pki.authority import Authority

LARGEST: Final = 100_000  # bytes
FORMAT: Final = "lgsp-machine-invitation-1"
_TEXTS: Final = ("machine", "instance", "address", "server", "expires", "anchors", "certificate", "key", "secret")


@dataclass(frozen=True, slots=True)
class Invitation:
    """`address`: the exchange listener of a machine that runs, which shows a certificate for the host `server`.
    `anchors`, `certificate` and `key` in PEM. `protected`: the keys of the machine that invited have a secret."""

    machine: str
    instance: str
    address: str
    server: str
    expires: str
    anchors: str
    certificate: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    protected: bool = False

    @property
    def shared(self) -> Secret:
        return Secret(bytes.fromhex(self.secret), self.machine, self.instance)

    def write(self, file: Path) -> None:
        content = {"format": FORMAT, **{name: getattr(self, name) for name in (*_TEXTS, "protected")}}
        write_new(file, json.dumps(content, indent=1).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Issued:
    """Certificate (PEM) with the issuer's below it, its key, and its thumbprint."""

    certificate: str
    key: str = field(repr=False)
    thumbprint: str


def issue(issuer: Authority, name: str, expires: float, now: float) -> Issued:
    """A TLS client's certificate of a machine, valid until then."""
    private = algorithms.new_private()
    pem = authority.issue_named(issuer, URI + name, private.public_key(), now, expires)
    mark = thumbprint(load_certificate(pem).public_bytes(Encoding.DER))
    return Issued((pem + issuer.pem).decode("ascii"), authority.private_pem(private).decode("ascii"), mark)


def read(file: Path) -> Invitation:
    """Raises OSError, and `machine.invitation` for what is no invitation."""
    with file.open("rb") as opened:
        content = opened.read(LARGEST + 1)
    return parse(content, str(file))


def parse(content: bytes, where: str) -> Invitation:
    """Raises `machine.invitation`."""
    value: Any = None
    if len(content) <= LARGEST:
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
    sound = isinstance(value, dict) and value.get("format") == FORMAT
    if not sound or not all(isinstance(value.get(name), str) for name in _TEXTS):
        raise MACHINE_INVITATION(where=where)
    protected = value.get("protected") is True  # a file of an older release does not say
    found = Invitation(**{name: value[name] for name in _TEXTS}, protected=protected)
    try:
        bytes.fromhex(found.secret)
        parts = urlsplit(found.address)
        address = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        address = False
    if not address:
        raise MACHINE_INVITATION(where=where)
    return found
