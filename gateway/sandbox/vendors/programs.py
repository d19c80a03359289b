"""What the programs' addresses below `/sandbox/api` have in common: who calls, what was sent, and problems as answers.

A program brings an access token of a person's account (`Authorization: Bearer`).
Invariant: what a program brings is bounded before it is read. No cookie is looked at below `/sandbox/api`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.base.errors import Failure
from contracts.wire import problems as documents
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

API: Final = "/sandbox/api"
# Why the API of the management does not do what a page of POST does.
PAGE_ONLY: Final = f"The same is served to programs below {API}, which a sandbox alone has."
MOST_BODY: Final = 100_000
_TOKEN: Final = 200  # characters of `authorization`


@dataclass(frozen=True, slots=True)
class Given:
    """A checked call of a program. `content` is the JSON object of POST and PUT, and empty for others."""

    desk: Desk
    viewer: Viewer
    path: Mapping[str, str]
    query: Mapping[str, str]
    content: Mapping[str, Any]
    now: float


def served(
    desk: Desk, may: tuple[May, ...], path: str, members: Collection[str] = (), **methods: Callable[[Given], Any]
) -> list[Route]:
    """Routes below `/sandbox/api`, by method, for whoever may one of `may`. A function runs in a thread, and returns
    what is answered as JSON: by POST with 201, else with 200. `members`: those that POST and PUT may bring.
    """

    async def handle(function: Callable[[Given], Any], request: Request) -> Response:
        viewer = await viewer_of(desk, request, *may)
        content = await object_of(request, members) if request.method in ("POST", "PUT") else {}
        given = Given(desk, viewer, request.path_params, dict(request.query_params), content, desk.now())
        value = await desk.services.readers.run(("agency", viewer.account.agency), function, given)
        return answered(201 if request.method == "POST" else 200, value)

    return [
        Route(f"{API}/{path}", partial(problems, partial(handle, function)), methods=[method])
        for method, function in methods.items()
    ]


async def problems(handler: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    """A failure as a problem document (RFC 9457)."""
    try:
        return await handler(request)
    except Failure as failure:
        status, headers, body = documents.render(failure, transfer=None, accept_language=language_of(request))
        return Response(body, status, headers={**HEADERS, **headers})


async def tenant_of(desk: Desk, request: Request) -> Viewer:
    """Whose token it is: a tenant's. Raises `login.needed`, `console.forbidden`."""
    viewer = await viewer_of(desk, request, May.TENANT)
    if not is_tenant(viewer.account.agency):
        raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may=May.TENANT)
    return viewer


async def viewer_of(desk: Desk, request: Request, *one_of: May) -> Viewer:
    """Whose token it is: somebody who may one of these. Raises `login.needed`, `console.forbidden`."""
    given = request.headers.get("authorization", "")
    scheme, _, text = given.partition(" ")
    viewer = None
    if scheme.lower() == "bearer" and len(given) <= _TOKEN:
        viewer = await desk.services.readers.run(
            ("source", block_of(source_of(request))), _of_token, desk, text.strip()
        )
    if viewer is None:
        raise LOGIN_NEEDED()
    if viewer.account.may.isdisjoint(one_of):
        raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may=one_of[0])
    if request.method != "GET":
        await desk.services.readers.run(("agency", viewer.account.agency), desk.spend, viewer)
    return viewer


def _of_token(desk: Desk, text: str) -> Viewer | None:
    with desk.accounts() as rows:
        return sessions.of_token(rows, text, desk.now())


async def object_of(request: Request, members: Collection[str]) -> dict[str, Any]:
    """The JSON object that was sent, with no member but these. Raises `sandbox.form`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise SANDBOX_FORM(field="content-type", why="application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            raise SANDBOX_FORM(field="-", why=f"{MOST_BODY} bytes at most")
    try:
        value = read_json(bytes(body))
    except (ValueError, Failure):
        raise SANDBOX_FORM(field="-", why="a JSON object") from None
    if not isinstance(value, dict):
        raise SANDBOX_FORM(field="-", why="a JSON object")
    if unknown := sorted(value.keys() - set(members)):
        raise SANDBOX_FORM(field=unknown[0][:40], why="there is no such field")
    return value


def answered(status: int, content: Any) -> Response:
    text = json.dumps(content, ensure_ascii=False).encode()
    return Response(text, status, media_type="application/json", headers=HEADERS)


def source_of(request: Request) -> str:
    return request.client.host if request.client is not None else ""
