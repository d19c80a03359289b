"""Judges where a webhook may go: the URL when somebody subscribes, and each address that its host leads to.

Without such checks a subscriber could make the gateway call systems that only the gateway reaches (OWASP: server-side
request forgery). Public addresses are allowed, others only within the networks that the instance allows. The same holds
for the systems of a sandbox's tenants, whose addresses no officer approved: calls, probes and connection tests.
The addresses of each connection are judged as it is opened (`adapters.opening`), so a name that is resolved to another
address later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gateway.push.errors import SUBSCRIPTION_URL

LONGEST: Final = 2000  # characters of a URL
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_TEXT: Final = re.compile(r"[!-~]+")  # visible ASCII
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_UNICAST: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("2000::/3"))  # the second: RFC 4291 §2.4
# Where nobody's system is, although some of it is routed: the special-purpose registries of IANA (RFC 6890), and the
# tunnels, which lead to addresses of another kind.
_SPECIAL: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)


def public(address: Address) -> bool:
    """Whether an address is one of global unicast that anybody may have."""
    if not any(address in network for network in _UNICAST) or any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


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
        return public(address)

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
