"""My calls for programs, with the access token of a tenant.

    GET  /sandbox/api/calls                  a page of the list; the conditions of the page as the query
    GET  /sandbox/api/calls/{id}             one call
    POST /sandbox/api/calls/{id}/base        the caller's own signature base as the body: where it differs from ours
    POST /sandbox/api/calls/{id}/bodies      JSON with `part` and `reason`: the body itself, after a note in the log
    POST /sandbox/api/reset                  forgets what simulated systems were told, and ends ordered faults

A call of another tenant is answered like one that does not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.console.accounts.records import Viewer
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.console.site.page import checked_reason
from gateway.console.site.render import HEADERS
from gateway.sandbox.calls import bases, listing, one, resetting
from gateway.sandbox.vendors.errors import SANDBOX_FORM
from gateway.sandbox.vendors.programs import answered, object_of, problems, served, tenant_of

T = TypeVar("T")
API: Final = "/sandbox/api/calls"
_NO_BASE: Final = "the call has no signature base: its signature was not refused as wrong"


def routes(desk: Desk) -> list[Route]:
    each: list[tuple[str, Callable[[Desk, Request], Awaitable[Response]], str]] = [
        (API, _calls, "GET"),
        (f"{API}/{{id}}", _call, "GET"),
        (f"{API}/{{id}}/base", _base, "POST"),
        (f"{API}/{{id}}/bodies", _body, "POST"),
    ]
    return [
        *served(desk, (May.TENANT,), "reset", POST=lambda given: resetting.reset(given.desk, given.viewer)),
        *(Route(path, partial(problems, partial(handler, desk)), methods=[method]) for path, handler, method in each),
    ]


async def _calls(desk: Desk, request: Request) -> Response:
    viewer = await tenant_of(desk, request)
    query = dict(request.query_params)
    found = await _run(desk, viewer, listing.page, desk, viewer, listing.given_in(query), query.get("cursor") or None)
    return answered(200, {"calls": [asdict(each) for each in found.calls], "next": found.next})


async def _call(desk: Desk, request: Request) -> Response:
    viewer = await tenant_of(desk, request)
    found = await _run(desk, viewer, one.find, desk, viewer, request.path_params["id"])
    return answered(200, one.as_json(found))


async def _base(desk: Desk, request: Request) -> Response:
    viewer, hers = await tenant_of(desk, request), await _bytes(request)
    found = await _run(desk, viewer, one.find, desk, viewer, request.path_params["id"])
    if found.trace is None or not found.trace.base:
        raise SANDBOX_FORM(field="-", why=_NO_BASE)
    compared = await _run(desk, viewer, bases.compared, found.trace.base.encode(), hers)
    return answered(200, _told(compared))


def _told(compared: bases.Compared) -> dict[str, Any]:
    told = {"equal": compared.equal, "sizes": list(compared.sizes), "cut": compared.cut}
    if compared.offset is None:
        return told
    place = {"offset": compared.offset, "line": compared.line, "column": compared.column}
    return {**told, **place, "ours": compared.ours, "hers": compared.hers}


async def _body(desk: Desk, request: Request) -> Response:
    viewer, given = await tenant_of(desk, request), await object_of(request, ("part", "reason"))
    part, reason = given.get("part"), given.get("reason")
    if not isinstance(part, str) or not isinstance(reason, str):
        raise SANDBOX_FORM(field="-", why="part and reason, as texts")
    checked_reason(reason)
    found = await _run(desk, viewer, one.find, desk, viewer, request.path_params["id"])
    data = await _run(desk, viewer, one.opened, desk, viewer, found, part, reason)
    return Response(data, 200, media_type="application/octet-stream", headers=HEADERS)


async def _bytes(request: Request) -> bytes:
    """The body, as far as two bases are compared. Raises `sandbox.form`."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > bases.MOST:
            raise SANDBOX_FORM(field="-", why=f"{bases.MOST} bytes at most")
    return bytes(body)


async def _run(desk: Desk, viewer: Viewer, work: Callable[..., T], *of: Any) -> T:
    return await desk.services.readers.run(("agency", viewer.account.agency), work, *of)
