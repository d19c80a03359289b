"""Examines addresses, listeners, proxies, and accepted TLS versions."""

from __future__ import annotations

import contextlib
import socket
import ssl
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.doctor.certificates import SOON
from gateway.doctor.findings import Finding, finding
from gateway.doors.http import desk_transport
from gateway.doors.http.desk_transport import is_local
from gateway.doors.http.edge import BadEdge, Proxies
from gateway.notices.mail import MailServer, is_address
from gateway.push import operators
from gateway.settings import Settings
from security.grants.windows import Moment

_SECONDS: Final = 2.0
_ALL: Final = ("0.0.0.0", "::")  # noqa: S104 # compared, not bound
# Files by which Docker and Podman mark a container, whose addresses are those of its own network.
_CONTAINER: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))


def addresses(settings: Settings) -> Iterator[Finding]:
    base = urlsplit(settings.base)
    if base.scheme != "https" or not base.hostname:
        yield finding("base.not-https", base=settings.base)
    elif is_local(base.hostname):
        yield finding("base.local", base=settings.base)
    elif settings.has("door") and is_local(settings.host) and not (settings.edge_port or settings.edge_socket):
        yield finding("listen.loopback", host=settings.host, base=settings.base)
    sandbox = settings.kind == "sandbox"
    contained = any(each.exists() for each in _CONTAINER)
    # no password crosses there: in a container, who reaches the metrics is said where their port is published
    own = contained and settings.metrics_host in _ALL
    plain = {settings.metrics_host} if settings.metrics_port and not own else set()
    if settings.has("desk") and desk_transport.is_bare(settings):
        plain.add(settings.desk_host)
    hosts = {"door": settings.host, "desk": settings.desk_host} if sandbox else {}
    for host in sorted(plain | {host for role, host in hosts.items() if settings.has(role)}):
        if is_local(host):
            continue
        if sandbox and host in _ALL and contained:
            yield finding("listen.container", host=host)
        else:
            yield finding("listen.sandbox-open" if sandbox else "listen.desk-open", host=host)


def desk(settings: Settings, now: float) -> Iterator[Finding]:
    """The certificate of the people's listener, and who may speak for browsers."""
    if not settings.has("desk"):
        return
    try:
        desk_transport.Edge.of(settings)
        ends = desk_transport.ends(settings)
    except BadEdge as wrong:
        yield finding("listen.desk-broken", reason=str(wrong))
        return
    if ends is not None and ends < now + SOON:
        yield finding("listen.desk-ending", file=settings.desk_certificate, until=Moment(rfc3339(ends)))


def edges(settings: Settings) -> Iterator[Finding]:
    if not settings.has("door"):
        return
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


def openid(settings: Settings) -> Iterator[Finding]:
    """The settings of the OpenID provider, by which people sign in to the pages."""
    if not settings.oidc_issuer:
        return
    if not desk_transport.is_safe(settings.oidc_issuer):
        yield finding("openid.settings", reason="oidc_issuer: no https address")
    if not settings.oidc_client:
        yield finding("openid.settings", reason="oidc_client: empty")
    if not desk_transport.is_safe(settings.desk):
        yield finding("openid.settings", reason=f"desk_base: {settings.desk} is no https address")
    if secret := settings.oidc_secret_file:
        if not Path(secret).is_file():
            yield finding("openid.settings", reason=f"oidc_secret_file: {secret} does not exist")
        elif Path(secret).stat().st_mode & 0o077:
            yield finding("openid.settings", reason=f"oidc_secret_file: others may read {secret}")


def mail(settings: Settings) -> Iterator[Finding]:
    yield from _operators(settings)
    """The settings of the mail server, by which contacts are told."""
    try:
        MailServer.of(settings)
    except Failure as failure:
        yield finding("mail.settings", reason=str(failure.facts["reason"]))
    if settings.mail_anchors and not Path(settings.mail_anchors).is_file():
        yield finding("mail.settings", reason=f"mail_anchors: {settings.mail_anchors} does not exist")


def old_tls(settings: Settings) -> Iterator[Finding]:
    """Probe the public base and the listener for old TLS versions; no answer gives no finding."""
    base = urlsplit(settings.base)
    places = {(base.hostname or "localhost", base.port or 443)}
    if settings.has("door"):
        places.add((settings.host, settings.exchange_port))
    if settings.has("desk") and settings.desk_tls != "off":
        places.add((settings.desk_host, settings.desk_port))
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


def _operators(settings: Settings) -> Iterator[Finding]:
    """Whether those who are to be told of alarms can be."""
    if settings.alarm_mail and not settings.mail_server:
        yield finding("alarm.settings", reason="alarm_mail: mail_server is empty")
    for address in settings.alarm_mail.split():
        if not is_address(address):
            yield finding("alarm.settings", reason=f"alarm_mail: {address} is no e-mail address")
    for url in settings.alarm_url.split():
        if (why := operators.ANYWHERE.objection(url)) is not None:
            yield finding("alarm.settings", reason=f"alarm_url: {why}")
