"""Judges where a webhook may go: the URL when somebody subscribes, and each address that its host leads to.

Without such checks a subscriber could make the gateway call systems that only the gateway reaches (OWASP: server-side
request forgery). Public addresses are allowed, others only within the networks that the instance allows. The same holds
for the systems of a sandbox's tenants, whose addresses no officer approved: calls, probes and connection tests.
Invariant: a host is judged by the very addresses that are connected to. They are resolved once for each connection, so
  a name that is resolved to another address later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.push.errors import SUBSCRIPTION_URL
from gateway.registry.tenants import hosts

if TYPE_CHECKING:
    from gateway.registry.registry import Registry
    from gateway.settings import Settings

LONGEST: Final = 2000  # characters of a URL
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_TEXT: Final = re.compile(r"[!-~]+")  # visible ASCII
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_TUNNELS: Final = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))  # 6to4, Teredo


class Forbidden(OSError):
    """The host leads to an address that nothing is sent to."""


class Networks:
    """What the instance allows besides public addresses: networks with blanks between. ValueError for anything else."""

    def __init__(self, text: str) -> None:
        self._allowed: Final[tuple[Network, ...]] = tuple(ipaddress.ip_network(each) for each in text.split())

    def allow(self, text: str) -> bool:
        """Whether something may be sent to this address."""
        try:
            address = _meant(ipaddress.ip_address(text))
        except ValueError:
            return False
        if any(address in network for network in self._allowed):
            return True
        tunnelled = any(address in network for network in _TUNNELS)
        return address.is_global and not address.is_multicast and not address.is_reserved and not tunnelled

    def check_url(self, url: str) -> None:
        """`subscription.url` for a URL that nothing can be sent to, as far as that is seen without a resolver."""
        why = self.objection(url)
        if why is not None:
            raise SUBSCRIPTION_URL(why=why)

    def objection(self, url: str) -> str | None:
        """Why nothing is sent to this URL, as far as that is seen without a resolver; None if something may be."""
        if len(url) > LONGEST or _TEXT.fullmatch(url) is None or "\\" in url:
            return "not a URL of at most 2000 visible ASCII characters"
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname or ""
        except ValueError:
            return "its host or port is malformed"
        if parts.scheme not in ("https", "http"):
            return "its scheme is not https"
        if "@" in parts.netloc or parts.fragment or "#" in url:
            return "it has a user, a password or a fragment"
        if port == 0:
            return "its host or port is malformed"
        return self._host_objection(parts, host)

    def _host_objection(self, parts: SplitResult, host: str) -> str | None:
        literal = _literal(host)
        if literal is None and (_HOST.fullmatch(host) is None or _NUMBER.fullmatch(host.rpartition(".")[2])):
            return "its host or port is malformed"  # also 127.1, 0x7f000001: some resolvers take these for addresses
        if literal is not None and not self.allow(host):
            return "its address is neither public nor in `push_networks`"
        loopback = host == "localhost" or literal is not None and literal.is_loopback
        if host == "localhost" and not any(map(self.allow, ("127.0.0.1", "::1"))):
            return "its address is neither public nor in `push_networks`"
        return None if parts.scheme == "https" or loopback else "its scheme is not https"


Lookup = Callable[[str, int], Awaitable[list[tuple[Any, ...]]]]


class CheckedResolver(AbstractResolver):
    """Resolves a host for one connection. All of its addresses must be allowed: OSError otherwise. `checked` says of
    which hosts that is asked; by default of all.
    """

    def __init__(
        self, networks: Networks, lookup: Lookup | None = None, checked: Callable[[str], bool] = lambda host: True
    ) -> None:
        self._networks: Final = networks
        self._lookup: Final = lookup or _lookup
        self._checked: Final = checked

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found, checked = await self._lookup(host, port), self._checked(host)
        results: list[ResolveResult] = []
        for kind, _type, protocol, _name, address in found:
            if checked and not self._networks.allow(str(address[0])):
                raise Forbidden("its name leads to an address neither public nor in `push_networks`")
            results.append(
                ResolveResult(
                    hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=_NUMERIC
                )
            )
        if not results:
            raise OSError("its name is not known")
        return results

    async def close(self) -> None:
        """Nothing is held."""


def resolver_of_systems(settings: Settings, registry: Registry, lookup: Lookup | None = None) -> CheckedResolver | None:
    """Of the hosts of component systems; None where no officer's approval is left out."""
    if settings.kind != "sandbox":
        return None

    def of_tenant(host: str) -> bool:
        return host.lower() in hosts(registry.snapshot.systems.values())

    return CheckedResolver(Networks(settings.push_networks), lookup, of_tenant)


_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


async def _lookup(host: str, port: int) -> list[tuple[Any, ...]]:
    return [*await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for; otherwise the same."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
