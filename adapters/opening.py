"""Opens connections to addresses that others state: calls, callbacks, webhooks, probes, tests, conformance runs.

Who states an address does not own it. So an address is judged when it is connected to, and who answers shows who he is
before a byte of HTTP is sent. Both are done once for each connection.
Invariants: a name is judged by the very addresses that are connected to, and so is a literal address. All addresses of
a name must be allowed. A connection that is kept serves only the system that it was opened for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from yarl import URL

from contracts.base.errors import Failure
from security.pki.authority import system_of

KEEP_ALIVE: Final = 4.0  # common servers close after five seconds, and a call on a closing connection is in doubt
PROBE_SECONDS: Final = 2.0
_SKIP: Final = frozenset({"User-Agent", "Accept", "Accept-Encoding", "Content-Type"})
_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_UNREADABLE: Final = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
Lookup = Callable[[str, int], Awaitable[list[tuple[Any, ...]]]]


class NotOpened(aiohttp.ClientConnectionError, OSError):
    """Nothing was sent. `why`: a few words for people."""

    why = "connection failed"

    def __init__(self) -> None:
        super().__init__(self.why)


class Forbidden(NotOpened):
    """The host leads to an address that nothing is sent to."""

    why = "its address may not be called"


class OtherHost(NotOpened):
    """The certificate does not name the host that is called."""

    why = "its TLS certificate does not name the host that is called"


class OtherSystem(NotOpened):
    """The certificate is not that of the system that is called."""

    why = "its TLS certificate is not that of the system that is called"


@dataclass(frozen=True, slots=True)
class Peers:
    """What is known of those who are called.

    `tls` trusts the authorities and leaves names to `prove`. `own`: whether an authority of this instance issued a
    certificate. `registered`: whether a certificate (DER) is one of a system; None if nobody registered it. `strict`:
    whether a system is known by its own certificates alone. `together`: whether a system is registered at the place of
    another, whose certificate then serves both. `reachable`: whether a system may be at an address.
    """

    tls: ssl.SSLContext
    own: Callable[[x509.Certificate], bool] = lambda certificate: False
    registered: Callable[[str, bytes], bool | None] = lambda system, der: None
    strict: Callable[[str], bool] = lambda system: False
    together: Callable[[str, str], bool] = lambda system, named: False
    reachable: Callable[[str, str], bool] = lambda system, address: True
    lookup: Lookup | None = None  # of a host's addresses; None: the usual one

    async def addresses(self, system: str, host: str, port: int) -> list[ResolveResult]:
        """Where a system is reached. `Forbidden` if one of the addresses is not allowed; OSError if there is none."""
        found = await (self.lookup or _lookup)(host, port)
        self.judge(system, (str(address[0]) for _kind, _type, _protocol, _name, address in found))
        if not found:
            raise OSError("its name is not known")
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=_NUMERIC)
            for kind, _type, protocol, _name, address in found
        ]

    def judge(self, system: str, addresses: Iterable[str]) -> None:
        """Raises `Forbidden`."""
        if not all(self.reachable(system, each) for each in addresses):
            raise Forbidden

    def prove(self, system: str, host: str, spoken: Any) -> None:
        """Raises `OtherSystem` or `OtherHost` unless who answers is meant. `system` is empty where none is meant."""
        der = spoken.getpeercert(binary_form=True) if spoken is not None else None
        try:
            certificate = x509.load_der_x509_certificate(der or b"")
            named = system_of(certificate) if self.own(certificate) else None
        except (*_UNREADABLE, Failure):
            raise OtherSystem from None
        registered = self.registered(system, der) if system and der else None
        if registered is False or not (named in (None, system) or not system or self.together(system, named or "")):
            raise OtherSystem
        if registered or (named is not None and named == system):
            return
        if system and self.strict(system):
            raise OtherSystem
        if not names(certificate, host):
            raise OtherHost


def names(certificate: x509.Certificate, host: str) -> bool:
    """Whether a certificate names a host (RFC 9525 §6.3): a wildcard stands for the whole first label alone."""
    try:
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_UNREADABLE):
        return False
    try:
        return ipaddress.ip_address(host) in known.get_values_for_type(x509.IPAddress)
    except ValueError:
        pass
    host = host.rstrip(".").lower()
    _, _, above = host.partition(".")
    wild = f"*.{above}" if "." in above else host
    return any(each.lower() in (host, wild) for each in known.get_values_for_type(x509.DNSName))


class _Resolver(AbstractResolver):
    """Leaves the judgement to the connector, which also sees literal addresses and remembered ones."""

    def __init__(self, peers: Peers) -> None:
        self._peers: Final = peers

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return await Peers(self._peers.tls, lookup=self._peers.lookup).addresses("", host, port)

    async def close(self) -> None:
        """Nothing is held."""


class _Connector(aiohttp.TCPConnector):
    """The system that is called stands where aiohttp has the name that a certificate should have, so that connections
    are kept for each system alone. Without this class no certificate would have that name: no call would be made.
    """

    def __init__(self, peers: Peers, **limits: Any) -> None:
        super().__init__(ssl=peers.tls, resolver=_Resolver(peers), **limits)
        self._peers: Final = peers

    async def _wrap_create_connection(self, *args: Any, addr_infos: Any, req: Any, **more: Any) -> Any:
        system, host = req.server_hostname or "", req.url.raw_host or ""
        self._peers.judge(system, (str(address[0]) for *_, address in addr_infos))
        if more.get("ssl") is not None:
            more["server_hostname"] = host.rstrip(".")
        transport, protocol = await super()._wrap_create_connection(*args, addr_infos=addr_infos, req=req, **more)
        if more.get("ssl") is not None:
            try:
                self._peers.prove(system, host, transport.get_extra_info("ssl_object"))
            except BaseException:
                transport.abort()
                raise
        return transport, protocol


def open_session(
    peers: Peers, *, limit: int = 256, each: int = 64, remembered: int = 30, added: Sequence[str] = ()
) -> aiohttp.ClientSession:
    """The session of a process; made inside its event loop. A request names its system as `server_hostname`.

    `limit` connections, `each` of them to one address; names are `remembered` for seconds, or not at all (0). `added`:
    headers that aiohttp may add.
    """
    connector = _Connector(
        peers,
        limit=limit,
        limit_per_host=each,
        keepalive_timeout=KEEP_ALIVE,
        use_dns_cache=bool(remembered),
        ttl_dns_cache=remembered,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=_SKIP.difference(added),
        raise_for_status=False,
    )


async def connected(
    url: URL, system: str, peers: Peers, *, tls: bool = True
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the host of a URL, as a call opens it. Raises OSError. `tls`: as far as the URL says so."""
    host, port = url.raw_host or "", url.port or 443
    secure = tls and url.scheme == "https"
    trouble = OSError(host)
    for each in await peers.addresses(system, host, port):
        try:
            reader, writer = await asyncio.open_connection(
                each["host"],
                port,
                ssl=peers.tls if secure else None,
                server_hostname=host.rstrip(".") if secure else None,
            )
        except OSError as failed:
            trouble = failed
            continue
        if secure:
            try:
                peers.prove(system, host, writer.get_extra_info("ssl_object"))
            except BaseException:
                writer.transport.abort()
                raise
        return reader, writer
    raise trouble


class ConnectionProbe:
    """Says whether a system takes connections at its address: TCP and TLS as in a call, but nothing is sent."""

    def __init__(self, peers: Peers) -> None:
        self._peers: Final = peers

    async def __call__(self, url: str, system: str) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                _, writer = await connected(URL(url, encoded=True), system, self._peers)
        except (OSError, ValueError):  # also a TLS refusal, and a timeout
            return False
        await ended(writer)
        return True


async def ended(writer: asyncio.StreamWriter) -> None:
    """Ends a connection as TLS says, within a moment. The other side may still be sending its session tickets: were the
    connection cut, it would write to nobody, and its program may take that for a fault of its own.
    """
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            writer.close()
            await writer.wait_closed()
    except OSError:  # also a timeout
        pass
    finally:
        writer.transport.abort()


async def _lookup(host: str, port: int) -> list[tuple[Any, ...]]:
    return [*await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)]
