"""Identifies the caller of a connection: looks the client certificate up in the registry on each request.

Only the certificate's bytes are kept from the handshake, since connections outlive suspensions and revocations. For a
certificate of an outside authority, its last revocation status must still be valid, or within the stated grace. Else
the call is refused.
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

# A connection keeps one bytes object of its certificate, so most look-ups hit the cache.
mark_of: Final = lru_cache(maxsize=4096)(thumbprint)


def identify(certificate: bytes | None, snapshot: Snapshot, now: float) -> Channel:
    """The registered system of a certificate. Raises `Theirs` or `Policy` if none is in force."""
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
