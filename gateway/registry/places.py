"""Says whose a host and port are: the gateway's own, or those of systems that the registry names.

Who states an address does not own it. So a vendor of a sandbox may state neither.
Invariant: hosts are compared as a connection would read them: lower case, IDNA, without the last dot, an IPv4 address
  within an IPv6 one as itself. All names of the loopback are one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from yarl import URL

if TYPE_CHECKING:
    from gateway.registry.records import System
    from gateway.settings import Settings

LOOPBACK: Final = "loopback"
_GATEWAY: Final = "the gateway"
_SYSTEM: Final = "another system"
_PORTS: Final = {"http": 80, "https": 443}
Place = tuple[str, int]


def place_of(url: str) -> Place | None:
    """The host and port at which an address is called; None if it names no host."""
    try:
        read = URL(url)
        host, port = read.raw_host, read.port
    except ValueError:
        return None
    return (host_of(host), port or _PORTS.get(read.scheme, 0)) if host else None


def host_of(text: str) -> str:
    """A host in the one form in which hosts are compared."""
    host = text.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return LOOPBACK
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return LOOPBACK if address.is_loopback or address.is_unspecified else str(address)


class Places:
    """Those of the gateway, and of the systems given."""

    def __init__(self, settings: Settings, systems: Iterable[System]) -> None:
        bases = [place for url in (settings.base, settings.desk) if (place := place_of(url)) is not None]
        bound = (
            (settings.host, settings.exchange_port),
            (settings.host, settings.edge_port),
            (settings.desk_host, settings.desk_port),
            (settings.metrics_host, settings.metrics_port),
        )
        ports = {port for _host, port in bound if port}
        hosts = {host_of(host) for host, _port in bound} | {LOOPBACK}
        self._hosts: Final = frozenset(host for host, _port in bases if host != LOOPBACK)
        self._own: Final = frozenset(bases) | {(host, port) for host in hosts for port in ports}
        urls = (each.endpoint.url for each in systems if each.endpoint is not None)
        self._systems: Final = frozenset(filter(None, map(place_of, urls)))

    def own_host(self, host: str) -> bool:
        """Whether a host, by name or address, is one of the gateway's, at whichever port."""
        return host_of(host) in {own for own, _port in self._own}

    def holder(self, url: str) -> str | None:
        """In words whose the host and port of an address are; None if nobody's here."""
        place = place_of(url)
        if place is None:
            return None
        if place in self._own or place[0] in self._hosts:
            return _GATEWAY
        return _SYSTEM if place in self._systems else None
