"""What a sandbox's addresses for programs share: whose token it is, a bounded body, answers and failures as JSON.

Invariant: what a program brings is bounded before it is read. No cookie is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from contracts.base.errors import Failure
from contracts.wire import problems
from contracts.wire.jsontext import read_json
from gateway.console.accounts import sessions
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORBIDDEN, LOGIN_NEEDED
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.console.site.render import HEADERS
from gateway.console.site.site import language_of
from gateway.exchange.floods import block_of
from gateway.registry.tenants import is_tenant
from gateway.sandbox.vendors.errors import SANDBOX_FORM

MOST_BODY: Final = 100_000
_TOKEN: Final = 200  # characters of `authorization`


async def as_problems(handler: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    """A failure as a problem document (RFC 9457)."""
    try:
        return await handler(request)
    except Failure as failure:
        status, headers, body = problems.render(failure, transfer=None, accept_language=language_of(request))
        return Response(body, status, headers={**HEADERS, **headers})


async def viewer_of(desk: Desk, request: Request) -> Viewer:
    """Whose token it is: a tenant's. Raises `login.needed`, `console.forbidden`."""
    given = request.headers.get("authorization", "")
    scheme, _, text = given.partition(" ")
    viewer = None
    if scheme.lower() == "bearer" and len(given) <= _TOKEN:
        source = ("source", block_of(source_of(request)))
        viewer = await desk.services.readers.run(source, _of_token, desk, text.strip())
    if viewer is None:
        raise LOGIN_NEEDED()
    if May.TENANT not in viewer.account.may or not is_tenant(viewer.account.agency):
        raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may=May.TENANT)
    return viewer


def _of_token(desk: Desk, text: str) -> Viewer | None:
    with desk.accounts() as rows:
        return sessions.of_token(rows, text, desk.now())


async def run(desk: Desk, viewer: Viewer, work: Callable[..., Any], *of: Any) -> Any:
    """Work in a thread, within the share of the viewer's agency."""
    return await desk.services.readers.run(("agency", viewer.account.agency), work, *of)


async def bytes_of(request: Request, most: int = MOST_BODY) -> bytes:
    """The body. Raises `sandbox.form`."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise SANDBOX_FORM(field="-", why=f"{most} bytes at most")
    return bytes(body)


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises `sandbox.form`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise SANDBOX_FORM(field="content-type", why="application/json")
    try:
        value = read_json(await bytes_of(request))
    except (ValueError, Failure) as error:
        if isinstance(error, Failure) and error.code == SANDBOX_FORM.code:
            raise
        raise SANDBOX_FORM(field="-", why="a JSON object") from None
    if not isinstance(value, dict):
        raise SANDBOX_FORM(field="-", why="a JSON object")
    return value


def answer(status: int, content: Any) -> Response:
    text = json.dumps(content, ensure_ascii=False).encode()
    return Response(text, status, media_type="application/json", headers=HEADERS)


def source_of(request: Request) -> str:
    return request.client.host if request.client is not None else ""
