"""What the channel says of a caller: the client certificate, looked up in the registry on each request.

Connections outlive suspensions, revocations and certificates, so nothing is remembered from the handshake but the bytes of the certificate. Where
an authority from outside vouches for it, its last word must still hold: when that and the stated grace ran out, the door fails closed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from contracts.base.errors import Policy
from gateway.doors.http.errors import (
    CHANNEL_CERTIFICATE_UNREADABLE,
    CHANNEL_EXPIRED,
    CHANNEL_NO_CERTIFICATE,
    CHANNEL_REVOKED,
    CHANNEL_STATUS_UNKNOWN,
    CHANNEL_UNKNOWN_SYSTEM,
)
from gateway.registry.records import REVOKED, Key
from gateway.registry.snapshot import Snapshot
from gateway.transfer.stages import Channel
from security.grants.windows import civil
from security.keys import thumbprint

# The bytes of a certificate are those of its connection, so most look-ups are of the very same object.
mark_of: Final = lru_cache(maxsize=4096)(thumbprint)


def identify(certificate: bytes | None, snapshot: Snapshot, now: float) -> Channel:
    """The registered system behind a connection; `Theirs` or `Policy` if there is none in force."""
    if certificate is None:
        raise CHANNEL_NO_CERTIFICATE()
    if not certificate:
        raise CHANNEL_CERTIFICATE_UNREADABLE()
    mark = mark_of(certificate)
    key = snapshot.tls_key(mark)
    if key is None:
        raise CHANNEL_UNKNOWN_SYSTEM(thumbprint=mark)
    if not key.in_force(now):
        raise _refusal(key, now)
    system = snapshot.systems[key.system]
    if not system.active:
        raise snapshot.suspension(system)
    return Channel(system, mark)


def _refusal(key: Key, now: float) -> Policy:
    if key.state == REVOKED:
        return CHANNEL_REVOKED(key=key.key_id, since=key.since, reason=key.reason)
    if key.valid_from <= now < key.valid_until:
        return CHANNEL_STATUS_UNKNOWN(key=key.key_id, since=civil(key.known_until) if key.known_until else "—")
    return CHANNEL_EXPIRED(key=key.key_id, valid_from=civil(key.valid_from), valid_until=civil(key.valid_until))
