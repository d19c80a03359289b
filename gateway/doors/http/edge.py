"""Accepts client certificates from a proxy that ends TLS (RFC 9440).

A proxy is authenticated on each connection by its own certificate (a thumbprint, or a name from an authority for
proxies). On a Unix socket the mode of the file authenticates it. Its address never does. Dialects:

    rfc9440   `Client-Cert: :<base64 of DER>:`, a structured-field byte sequence; `::` (Caddy) means no certificate
    nginx     `X-SSL-Client-Cert: <PEM, URL-encoded>`, nginx's `$ssl_client_escaped_cert`

The proxy's `X-Forwarded-For` (one address, no list) is the source of a request, for the log and for limits.
Invariant: only the exact field, once, in the head of a request from an authenticated proxy is believed.
  `peer_protocol.py` drops similar fields. A request without the field has no certificate.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from cryptography import x509

from contracts.base.phrases import vietnamese
from contracts.base.words import Words
from gateway.doors.http.peer_protocol import PeerProtocol
from gateway.settings import BadSetting, Settings
from security.keys import thumbprint

UNREADABLE: Final = b""  # a certificate that is not in the dialect's form
Admits = Callable[[bytes | None], bool]
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE-----\n?")
_NAME: Final = "name:"
_SOURCE: Final = b"x-forwarded-for"
_log: Final = logging.getLogger("lgsp.edge")


class BadEdge(BadSetting):
    """The settings cannot authenticate a proxy, or serve browsers. The text says which, and what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(Words(vietnamese(text), text))


def _structured(value: bytes) -> bytes | None:
    if value in (b"", b"::"):
        return None
    if len(value) < 3 or value[:1] != b":" or value[-1:] != b":":
        return UNREADABLE
    return _decoded(value[1:-1])


def _escaped(value: bytes) -> bytes | None:
    if not value:
        return None
    match = _PEM.fullmatch(unquote_to_bytes(value))
    return UNREADABLE if match is None else _decoded(match[1].replace(b"\n", b""))


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return UNREADABLE


DIALECTS: Final[Mapping[str, tuple[bytes, Callable[[bytes], bytes | None]]]] = {
    "rfc9440": (b"client-cert", _structured),
    "nginx": (b"x-ssl-client-cert", _escaped),
}


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxies trusted over TLS: by thumbprint, or by DNS name in a certificate that the TLS context has verified."""

    thumbprints: frozenset[str]
    names: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> Proxies:
        listed = settings.edge_proxies.replace(",", " ").split()
        names = frozenset(item.removeprefix(_NAME) for item in listed if item.startswith(_NAME))
        thumbprints = frozenset(_thumbprint(item) for item in listed if not item.startswith(_NAME))
        if not listed:
            raise BadEdge(
                "edge_port is set, but edge_proxies names no proxy: nobody could be believed there. List "
                "their thumbprints."
            )
        if names and not settings.edge_anchors:
            raise BadEdge(
                "edge_proxies names proxies by name, which needs edge_anchors: a file of authorities "
                "that issue for proxies alone. "
                "The exchange's own authority also issues to systems, who could ask for such a name."
            )
        return cls(thumbprints, names)

    def admits(self, certificate: bytes | None) -> bool:
        if certificate is None:
            return False
        if thumbprint(certificate) in self.thumbprints or (self.names and self.names & _dns_names(certificate)):
            return True
        _log.warning(
            "a peer that is no proxy of this gateway came to the edge listener; its thumbprint is %s",
            thumbprint(certificate),
        )
        return False


def _thumbprint(text: str) -> str:
    """Accepts base64url (registry) or hexadecimal (`openssl x509 -fingerprint -sha256`)."""
    plain = text.replace(":", "")
    if re.fullmatch(r"[0-9A-Fa-f]{64}", plain):
        return base64.urlsafe_b64encode(bytes.fromhex(plain)).rstrip(b"=").decode("ascii")
    if re.fullmatch(r"[A-Za-z0-9_-]{43}", text):
        return text
    raise BadEdge(
        f"edge_proxies holds {text!r}: expected a SHA-256 thumbprint (hexadecimal or base64url), or name:<DNS name>"
    )


def _dns_names(certificate: bytes) -> set[str]:
    try:
        names = (
            x509.load_der_x509_certificate(certificate)
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        )
    except (ValueError, x509.ExtensionNotFound):
        return set()
    return set(names.get_values_for_type(x509.DNSName))


def _address(value: bytes) -> str | None:
    try:
        return str(ipaddress.ip_address(value.strip().decode("ascii")))
    except ValueError:
        return None


def by_socket(_certificate: None | bytes) -> bool:
    """The mode of the socket's file decides who can connect."""
    return True


def edge_protocol(dialect: str, admits: Admits) -> type[PeerProtocol]:
    """The protocol of a listener for proxies. Each request has its own client certificate."""
    field, read = DIALECTS[dialect]

    class EdgeProtocol(PeerProtocol):
        _trusted = False
        _claims: list[bytes]
        _sources: list[bytes]

        def connection_made(self, transport: Any) -> None:
            tls = transport.get_extra_info("ssl_object")
            self._trusted = admits(tls.getpeercert(binary_form=True) if tls is not None else None)
            super().connection_made(transport)

        def counts(self, certificate: bytes | None) -> bool:
            """A proxy's connections carry many clients and are not counted."""
            return not self._trusted

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._claims, self._sources = [], []

        def on_header(self, name: bytes, value: bytes) -> None:
            if self._trusted and self._in_head and name.lower() == _SOURCE:
                self._sources.append(value)
            super().on_header(name, value)

        def on_claim(self, name: bytes, value: bytes) -> None:
            if self._trusted and name.lower() == field:
                self._claims.append(value.strip())

        def on_headers_complete(self) -> None:
            claims = self._claims
            certificate = None if not claims else read(claims[0]) if len(claims) == 1 else UNREADABLE
            self.scope["extensions"] = {"tls": {"client_cert_der": certificate}}
            if len(self._sources) == 1 and (source := _address(self._sources[0])) is not None:
                self.scope["client"] = (source, 0)
            super().on_headers_complete()

    return EdgeProtocol
