"""Behind an edge: a proxy ends TLS and tells in a header field which certificate the client showed (RFC 9440).

A proxy proves itself on each connection, by a certificate of its own (a named thumbprint, or a name that an authority for proxies vouches for)
or by having opened a Unix socket whose mode keeps others out; never by its address. Two dialects of telling:
    rfc9440   `Client-Cert: :<base64 of DER>:`, a structured-field byte sequence; `::`, which Caddy sends, says that there was none
    nginx     `X-SSL-Client-Cert: <PEM, URL-encoded>`, nginx's `$ssl_client_escaped_cert`
What a proven proxy says in `X-Forwarded-For` (one address, no list) counts as the source of a request, in the log and in what is counted by source.
Invariant: only the exact field, once, in the head of a request of a proven proxy is believed; what else looks like it never reaches a door
(`server.py` drops it). A request without it is one of a caller without a certificate.
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

from gateway.doors.http.server import PeerProtocol
from gateway.settings import Settings
from security.keys import thumbprint

UNREADABLE: Final = b""  # stands for a certificate that was told, but not in the form that the dialect has
Admits = Callable[[bytes | None], bool]
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE-----\n?")
_NAME: Final = "name:"
_SOURCE: Final = b"x-forwarded-for"
_log: Final = logging.getLogger("lgsp.edge")


class BadEdge(ValueError):
    """Settings under which no proxy could be told from anybody else; the text says which and what to do."""


def _structured(value: bytes) -> bytes | None:
    if value in (b"", b"::"):
        return None
    if len(value) < 3 or value[:1] != b":" or value[-1:] != b":":
        return UNREADABLE
    return _decoded(value[1:-1])


def _escaped(value: bytes) -> bytes | None:
    if not value:
        return None
    found = _PEM.fullmatch(unquote_to_bytes(value))
    return UNREADABLE if found is None else _decoded(found[1].replace(b"\n", b""))


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
    """The proxies that are trusted over TLS: by thumbprint, or by a name in a certificate whose issuer the listener's context has checked."""

    thumbprints: frozenset[str]
    names: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> Proxies:
        listed = settings.edge_proxies.replace(",", " ").split()
        names = frozenset(item.removeprefix(_NAME) for item in listed if item.startswith(_NAME))
        thumbprints = frozenset(_thumbprint(item) for item in listed if not item.startswith(_NAME))
        if not listed:
            raise BadEdge(
                "edge_port is set, but edge_proxies names no proxy: nobody could be believed there. List their thumbprints."
            )
        if names and not settings.edge_anchors:
            raise BadEdge(
                "edge_proxies names proxies by name, which needs edge_anchors: a file of authorities that issue for proxies alone. "
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
    """base64url as the registry has it, or hexadecimal as `openssl x509 -fingerprint -sha256` prints it."""
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
    """Whoever could open the socket has proved itself by that: the mode of the file says who can."""
    return True


def edge_protocol(dialect: str, admits: Admits) -> type[PeerProtocol]:
    """The protocol of a listener for proxies. A connection carries requests of many clients, so that the certificate is each request's own."""
    field, read = DIALECTS[dialect]

    class EdgeProtocol(PeerProtocol):
        _trusted = False
        _told: list[bytes]
        _sources: list[bytes]

        def connection_made(self, transport: Any) -> None:
            tls = transport.get_extra_info("ssl_object")
            self._trusted = admits(tls.getpeercert(binary_form=True) if tls is not None else None)
            super().connection_made(transport)

        def counts(self, certificate: bytes | None) -> bool:
            """A proxy's connections are those of many."""
            return not self._trusted

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._told, self._sources = [], []

        def on_header(self, name: bytes, value: bytes) -> None:
            if self._trusted and self._in_head and name.lower() == _SOURCE:
                self._sources.append(value)
            super().on_header(name, value)

        def on_claim(self, name: bytes, value: bytes) -> None:
            if self._trusted and name.lower() == field:
                self._told.append(value.strip())

        def on_headers_complete(self) -> None:
            told = self._told
            certificate = None if not told else read(told[0]) if len(told) == 1 else UNREADABLE
            self.scope["extensions"] = {"tls": {"client_cert_der": certificate}}
            if len(self._sources) == 1 and (source := _address(self._sources[0])) is not None:
                self.scope["client"] = (source, 0)
            super().on_headers_complete()

    return EdgeProtocol
