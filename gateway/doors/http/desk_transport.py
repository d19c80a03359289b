"""How browsers reach the people's listener: its TLS, and the proxies that speak for them.

    off        plain HTTP: on the loopback, or for the proxies of `desk_edge`
    embedded   a certificate of the embedded authority (key `desk`), replaced by `lgsp keys rotate desk`
    files      certificate and key files of somebody else's, taken up by `lgsp reload`

Invariant: scheme and address of a browser are those of its connection, unless the connection is of a proxy that the
  settings name. A field of anybody else is ignored.
Invariant: a production instance does not serve passwords and sessions over plain HTTP to other machines.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.doors.http.body import Receive, Scope, Send
from gateway.doors.http.edge import BadEdge
from gateway.doors.http.server import tls_context
from gateway.doors.http.shell import send_reply
from gateway.doors.reply import Reply
from gateway.keys.keyring import DESK, Keyring
from gateway.settings import Settings
from security.keys import load_certificate

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PROTO, _FOR = b"x-forwarded-proto", b"x-forwarded-for"
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


def is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_safe(address: Any) -> bool:
    """HTTPS, or plain HTTP on this machine."""
    if not isinstance(address, str):
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_local(host)))


def is_bare(settings: Settings) -> bool:
    """Whether other machines reach the pages without TLS and without a proxy."""
    return settings.desk_tls == "off" and not settings.desk_edge.split() and not is_local(settings.desk_host)


def host_names(settings: Settings) -> tuple[str, ...]:
    """Of the embedded authority's certificate."""
    return tuple(dict.fromkeys((urlsplit(settings.desk).hostname or "localhost", "localhost", "127.0.0.1")))


def context(settings: Settings) -> ssl.SSLContext | None:
    """Raises `BadEdge` for files that are no pair, `keys.missing`."""
    match settings.desk_tls:
        case "off":
            return None
        case "embedded":
            keyring = Keyring(settings)
            pair = keyring.current(DESK)
            return tls_context(pair.certificate, pair.key, None, keyring.at_rest.password)
        case "files":
            for name in ("desk_certificate", "desk_key"):
                file = getattr(settings, name)
                if not file:
                    raise BadEdge(f"desk_tls is files, and {name} is not set")
                if not Path(file).is_file():
                    raise BadEdge(f"{name}: {file} is no file")
            try:
                return tls_context(Path(settings.desk_certificate), Path(settings.desk_key), None)
            except (OSError, ssl.SSLError) as wrong:
                raise BadEdge(f"desk_certificate, desk_key: {wrong}") from None


def ends(settings: Settings) -> float | None:
    """When the certificate of `files` ends. Raises `BadEdge`."""
    if settings.desk_tls != "files":
        return None
    context(settings)
    return load_certificate(Path(settings.desk_certificate).read_bytes()).not_valid_after_utc.timestamp()


@dataclass(frozen=True, slots=True)
class Edge:
    """The proxies that speak for browsers."""

    proxies: frozenset[Address]
    alone: bool  # others do not reach the pages

    @classmethod
    def of(cls, settings: Settings) -> Edge:
        """Raises `BadEdge`."""
        found = set()
        for text in settings.desk_edge.split():
            address = _address(text)
            if address is None:
                raise BadEdge(f"desk_edge: {text[:80]!r} is no address, such as 10.20.0.5")
            found.add(address)
        return cls(frozenset(found), bool(found) and settings.desk_tls == "off")

    def scope(self, scope: Scope) -> Scope:
        """The request as the browser sent it."""
        if self._peer(scope) not in self.proxies:
            return scope
        proto, source = _only(scope, _PROTO), _address(_only(scope, _FOR) or "")
        changed: dict[str, Any] = {}
        if proto in ("http", "https"):
            changed["scheme"] = proto
        if source is not None:
            changed["client"] = (str(source), 0)
        return {**scope, **changed}

    def refuses(self, scope: Scope) -> bool:
        """Whether somebody on another machine goes past the proxies, to what passwords and tokens open."""
        peer = self._peer(scope)
        if not self.alone or peer in self.proxies or peer is None or peer.is_loopback:
            return False
        return str(scope["path"]).startswith(("/console", "/api"))

    def _peer(self, scope: Scope) -> Address | None:
        client = scope.get("client")
        return _address(client[0]) if client else None


def behind(app: Any, edge: Edge) -> Any:
    """The application as browsers reach it, by a proxy or not; under TLS its answers say so (RFC 6797)."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if edge.refuses(scope):
            await send_reply(Reply(421, {"content-type": "text/plain"}, b"use the proxy\n"), scope, send)
            return
        seen = edge.scope(scope)

        async def told(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and seen["scheme"] == "https":
                message = {**message, "headers": [*message["headers"], HSTS]}
            await send(message)  # type: ignore[arg-type]

        await app(seen, receive, told)

    return served


def _only(scope: Scope, name: bytes) -> str | None:
    """The value of a field that stands once; None else, since a proxy sets it."""
    values = [value for each, value in scope["headers"] if each == name]
    return values[0].decode("latin-1").strip() if len(values) == 1 else None


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
