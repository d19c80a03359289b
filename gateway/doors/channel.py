"""What the channel says of a caller: the client certificate, looked up in the registry on each request.

Connections outlive suspensions and revocations, so nothing is remembered from the handshake but the bytes of the certificate.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from contracts.base.errors import Policy, Theirs
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from security.keys import thumbprint

# The bytes of a certificate are those of its connection, so most look-ups are of the very same object.
mark_of: Final = lru_cache(maxsize=4096)(thumbprint)


class Channel(NamedTuple):
    system: System
    thumbprint: str  # base64url SHA-256 of the DER certificate, as in RFC 8705 `x5t#S256`


def identify(certificate: bytes | None, snapshot: Snapshot, now: float) -> Channel:
    """The registered system behind a connection; `Theirs` or `Policy` if there is none in force."""
    if certificate is None:
        raise Theirs("channel.no-certificate")
    if not certificate:
        raise Theirs("channel.certificate-unreadable")
    mark = mark_of(certificate)
    key = snapshot.tls_key(mark)
    if key is None or not key.in_force(now):
        raise Policy("channel.unknown-system", thumbprint=mark)
    system = snapshot.systems[key.system]
    if not system.active:
        raise Policy("channel.suspended", who=system.name)
    return Channel(system, mark)
