"""Checks of a request before a page sees it: origin, form token, bounds of a form, the session's cookie.

Invariant: a request that changes something comes from a page of this site: its `Origin` names this host (RFC 6454),
  `Sec-Fetch-Site` does not contradict, and the form has the token of the session.
Invariant: without `desk_base` this host is an address of a network, `localhost` or `desk_host`. Any other name may be
  that of a stranger's site, which he lets lead here: then its pages have the same origin as these (DNS rebinding).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from gateway.console.errors import CONSOLE_FORM, CONSOLE_HOST, CONSOLE_ORIGIN
from gateway.console.site import multipart
from gateway.settings import Settings

MOST_FORM: Final = 1 << 18
MOST_FIELDS: Final = 2_000
_LOCAL: Final = "localhost"
_ADDRESS: Final = "-"  # stands for every address of a network
_FORM: Final = "application/x-www-form-urlencoded"


def cookie_name(secure: bool) -> str:
    """`__Host-` binds the cookie to this host and to TLS (RFC 6265bis, 4.1.3.2)."""
    return "__Host-lgsp" if secure else "lgsp-session"


def is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def token_of(request: Request) -> str:
    """The session's token; empty if there is none."""
    token = request.cookies.get(cookie_name(is_secure(request)), "")
    return token if len(token) <= 128 else ""


def set_cookie(token: str, secure: bool) -> str:
    """The value of `set-cookie`; an empty token ends it."""
    ends = "; Max-Age=0" if not token else ""
    return f"{cookie_name(secure)}={token}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}{ends}"


def origin_of(request: Request, base: str = "") -> str:
    """The origin of this site, as the browser names it. `base` is the address of the pages, if it is set."""
    return base.rstrip("/") or f"{request.url.scheme}://{request.headers.get('host', '')}"


def flow_of(request: Request) -> str:
    """What this browser began at the OpenID provider, sealed; empty if there is nothing."""
    return request.cookies.get(f"{cookie_name(is_secure(request))}-flow", "")[:4_000]


def set_flow(flow: str, secure: bool) -> str:
    """`Lax`, since the provider's answer comes from another site."""
    ends = "600" if flow else "0"
    name = f"{cookie_name(secure)}-flow"
    return f"{name}={flow}; Path=/; HttpOnly; SameSite=Lax; Max-Age={ends}{'; Secure' if secure else ''}"


def check_origin(request: Request, settings: Settings) -> None:
    """Raises `console.origin`, `console.host`."""
    check_host(request, settings)
    site = request.headers.get("sec-fetch-site", "same-origin")
    if request.headers.get("origin") != origin_of(request, settings.desk_base) or site != "same-origin":
        raise CONSOLE_ORIGIN()


def check_host(request: Request, settings: Settings) -> None:
    """Raises `console.host` for a name that nobody but the caller gives this host. With `desk_base` pages of that
    address alone are taken, so `Origin` decides.
    """
    host = request.headers.get("host", "")
    if not settings.desk_base and _name_of(host) not in (_LOCAL, settings.desk_host.lower(), _ADDRESS):
        raise CONSOLE_HOST(host=host[:100] or "–")


def _name_of(host: str) -> str:
    """The name in a `Host`; one word for all addresses of networks, empty if it is no host."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        ip_address(name.partition("%")[0])
    except ValueError:
        return "" if "@" in host else name
    return _ADDRESS


def is_own(request: Request, settings: Settings) -> bool:
    """Whether a page of this site asks, the person himself, or a program. Raises `console.host`."""
    check_host(request, settings)
    own = origin_of(request, settings.desk_base)
    site = request.headers.get("sec-fetch-site", "same-origin")
    return site in ("same-origin", "none") and request.headers.get("origin", own) == own


def check_token(form: Mapping[str, str], csrf: str) -> None:
    """Raises `console.origin`."""
    if not csrf or not hmac.compare_digest(form.get("csrf", "").encode(), csrf.encode()):
        raise CONSOLE_ORIGIN()


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of a repeated field the values with line feeds between. Raises `console.form`."""
    if _media(request) != _FORM:
        raise CONSOLE_FORM(field="content-type", why=_FORM)
    return _fields(await _body(request, MOST_FORM))


async def read_upload(request: Request, most: int) -> multipart.Form:
    """A form that may have files, of at most `most` bytes. Raises `console.form`."""
    if _media(request) != multipart.MEDIA:
        return multipart.Form(await read_form(request), {})
    boundary = multipart.boundary_of(request.headers.get("content-type", ""))
    return multipart.read(await _body(request, most), boundary)


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip()


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise CONSOLE_FORM(field="-", why=f"more than {most} bytes")
    return bytes(body)


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise CONSOLE_FORM(field="-", why="not a form in UTF-8") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields[name] = f"{fields[name]}\n{value}" if name in fields else value
    return fields
