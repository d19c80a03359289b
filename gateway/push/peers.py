"""Says what the instance knows of those whom it calls: the one trust store of outgoing sessions to component systems.

Who answers shows a certificate of that very system: one of this instance's own authorities with its name, or one that
the registry has for it. A certificate that names the host is enough from an outside authority, for the receivers of
webhooks and for a system that an officer approved; and from a system that officers approved at the same host and port.
It never is for the systems of a sandbox's tenants, whose addresses nobody approved. Their addresses are judged too.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from adapters.http import client_context
from adapters.opening import Lookup, Peers
from gateway.push.addresses import Networks
from gateway.registry.places import place_of
from gateway.registry.tenants import is_tenant
from security.keys import thumbprint

if TYPE_CHECKING:
    from gateway.keys.keyring import Keyring
    from gateway.registry.snapshot import Snapshot
    from gateway.settings import Settings

SYSTEM: Final = "system"  # of `push_anchors`, in place of a file: the authorities of the operating system


class OwnAuthorities:
    """The issuers of this instance, read again when their file was replaced."""

    def __init__(self, file: Path) -> None:
        self._file: Final = file
        self._read: tuple[int, list[x509.Certificate]] = (-1, [])

    def issued(self, certificate: x509.Certificate) -> bool:
        written = self._file.stat().st_mtime_ns
        if written != self._read[0]:
            self._read = written, x509.load_pem_x509_certificates(self._file.read_bytes())
        return any(_issued(certificate, each) for each in self._read[1])


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def peers_of(
    keyring: Keyring,
    settings: Settings,
    snapshot: Callable[[], Snapshot] | None = None,
    clock: Callable[[], float] = time.time,
    lookup: Lookup | None = None,
) -> Peers:
    """Of calls, callbacks, probes and conformance runs. Without `snapshot` nothing is registered, and an operator says
    whom to call.
    """
    tls = client_context(
        keyring.client_anchors, keyring.client_certificate, keyring.client_key, keyring.at_rest.password
    )
    own = OwnAuthorities(keyring.client_anchors).issued
    if snapshot is None:
        return Peers(tls, own, lookup=lookup)
    return known_peers(tls, own, settings, snapshot, clock, lookup)


def known_peers(
    tls: ssl.SSLContext,
    own: Callable[[x509.Certificate], bool],
    settings: Settings,
    snapshot: Callable[[], Snapshot],
    clock: Callable[[], float] = time.time,
    lookup: Lookup | None = None,
) -> Peers:
    """As the registry knows them."""
    networks, sandbox = Networks(settings.push_networks), settings.kind == "sandbox"

    def registered(system: str, der: bytes) -> bool | None:
        key = snapshot().tls_key(thumbprint(der))
        if key is None:
            return None
        if not key.in_force(clock()):
            return False
        return True if key.system == system else None if together(system, key.system) else False

    def of_tenant(system: str) -> bool:
        known = snapshot().systems.get(system) if sandbox else None
        return known is not None and is_tenant(known.agency)

    def together(system: str, named: str) -> bool:
        """Whether officers approved the same host and port for both: one server, with the certificate of one."""
        ends = [known.endpoint for each in (system, named) if (known := snapshot().systems.get(each)) is not None]
        if of_tenant(system) or of_tenant(named) or len(ends) < 2 or None in ends:
            return False
        first, second = (place_of(each.url) for each in ends if each is not None)
        return first is not None and first == second

    def reachable(system: str, address: str) -> bool:
        return not of_tenant(system) or networks.allow(address)

    return Peers(tls, own, registered, of_tenant, together, reachable, lookup)


def receivers(peers: Peers, keyring: Keyring, settings: Settings, networks: Networks) -> Peers:
    """Of webhooks: the authorities of `push_anchors` too, and only the addresses that `networks` allow."""
    tls = peers.tls
    if settings.push_anchors:
        tls = client_context(
            keyring.client_anchors, keyring.client_certificate, keyring.client_key, keyring.at_rest.password
        )
        if settings.push_anchors == SYSTEM:
            tls.load_default_certs()
        else:
            tls.load_verify_locations(settings.push_anchors)
    return replace(
        peers, tls=tls, strict=lambda system: False, reachable=lambda system, address: networks.allow(address)
    )
