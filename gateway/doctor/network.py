"""Examines addresses, listeners, proxies, and accepted TLS versions."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.doctor.findings import Finding, finding
from gateway.doors.http.edge import BadEdge, Proxies
from gateway.settings import Settings

_SECONDS: Final = 2.0


def addresses(settings: Settings) -> Iterator[Finding]:
    base = urlsplit(settings.base)
    if base.scheme != "https" or not base.hostname:
        yield finding("base.not-https", base=settings.base)
    elif is_local(base.hostname):
        yield finding("base.local", base=settings.base)
    elif is_local(settings.host) and not (settings.edge_port or settings.edge_socket):
        yield finding("listen.loopback", host=settings.host, base=settings.base)
    sandbox = settings.kind == "sandbox"
    plain = {settings.desk_host, settings.metrics_host if settings.metrics_port else settings.desk_host}
    for host in sorted(plain | ({settings.host} if sandbox else set())):
        if not is_local(host):
            yield finding("listen.sandbox-open" if sandbox else "listen.desk-open", host=host)


def edges(settings: Settings) -> Iterator[Finding]:
    if settings.edge_port:
        try:
            Proxies.of(settings)
        except BadEdge as wrong:
            yield finding("edge.nobody", reason=str(wrong))
        if settings.edge_anchors and not Path(settings.edge_anchors).is_file():
            yield finding("edge.nobody", reason=f"edge_anchors: {settings.edge_anchors} does not exist")
    else:
        for name in ("edge_proxies", "edge_anchors"):
            if getattr(settings, name):
                yield finding("edge.unused", setting=name)
    if settings.edge_socket:
        folder = Path(settings.edge_socket).parent
        if not folder.is_dir():
            yield finding("edge.folder", reason=f"{folder} does not exist")
        elif folder.stat().st_mode & 0o002 and not folder.stat().st_mode & stat.S_ISVTX:
            yield finding("edge.folder", reason=f"others may write to {folder}")
    elif settings.edge_socket_group:
        yield finding("edge.unused", setting="edge_socket_group")


def old_tls(settings: Settings) -> Iterator[Finding]:
    """Probe the public base and the listener for old TLS versions; no answer gives no finding."""
    base = urlsplit(settings.base)
    places = {(base.hostname or "localhost", base.port or 443), (settings.host, settings.exchange_port)}
    for host, port in sorted(places):
        if accepts_old_tls(host, port):
            yield finding("tls.old", where=f"{host}:{port}")


def accepts_old_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only the version matters
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with contextlib.suppress(OSError), socket.create_connection((host, port), _SECONDS) as plain:
        plain.settimeout(_SECONDS)
        with context.wrap_socket(plain, server_hostname=host):
            return True
    return False


def is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
