"""The Starlette application of `/console`: guards each page, runs it in a thread, renders what it returns.

Invariant: every page but those of signing in needs a session, and the permission that it names.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.base.words import Language
from contracts.wire import problems
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_DATABASE, CONSOLE_FORBIDDEN, CONSOLE_NO_PAGE, LOGIN_NEEDED
from gateway.console.pages import pages
from gateway.console.roles import May
from gateway.console.site import guard, live
from gateway.console.site.desk import Alarms, Desk
from gateway.console.site.page import Ask, Live, Menu, Moved, Page, Sent, Shown
from gateway.console.site.render import HEADERS, STATIC, asset, failure_values, render
from gateway.console.site.returning import given_back
from gateway.doors.http.body import Receive, Scope, Send
from gateway.doors.http.streaming import send_stream
from gateway.doors.http.taken_up import TRANSFER
from gateway.doors.reply import Reply
from gateway.errors import GATEWAY_FAULT
from gateway.journal.errors import JOURNAL_UNAVAILABLE
from gateway.journal.limits import unavailable

HOME = "/console"
_LANGUAGE = "lgsp-language"
_log: Final = logging.getLogger("lgsp.console")


class _Site(Starlette):
    """Any other exception goes to `DeskApp`, which has a page for it: that of Starlette is a bare 500."""

    def build_middleware_stack(self) -> ASGIApp:
        return ExceptionMiddleware(self.router, handlers=self.exception_handlers)


def build_site(desk: Desk, public: list[Route]) -> Starlette:
    """`public` are the routes that need no session."""

    def endpoint(page: Page) -> Callable[[Request], Awaitable[Response]]:
        return functools.partial(_serve, desk, page)

    own = [Route(page.root + page.path, endpoint(page), methods=[page.method]) for page in pages_of(desk)]
    return _Site(
        exception_handlers={
            Failure: functools.partial(failed, desk),
            HTTPException: functools.partial(_unknown, desk),
        },
        routes=[*public, *own, *(Route(f"{HOME}/{name}", _asset, name=name) for name in STATIC)],
    )


def pages_of(desk: Desk) -> tuple[Page, ...]:
    """The pages of the console, and those of another package beside it."""
    return pages() if desk.beside is None else (*pages(), *desk.beside.pages)


async def _serve(desk: Desk, page: Page, request: Request) -> Response:
    token = guard.token_of(request)
    here = live.FETCHED not in request.headers and "text/event-stream" not in request.headers.get("accept", "")
    viewer = await asyncio.to_thread(functools.partial(desk.viewer, token, touch=here))
    if viewer is None:
        if page.method == "GET":
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            ended = {"ended": "1"} if guard.token_of(request) else {}  # it was signed in: say why it is not any more
            back = urlencode({"next": wanted, **ended})
            return RedirectResponse(f"{HOME}/sign-in?{back}", status_code=303, headers=HEADERS)
        raise LOGIN_NEEDED()
    request.state.viewer = viewer
    if page.may not in viewer.account.may:
        raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may=page.may)
    form, files = dict[str, str](), dict[str, bytes]()
    if page.method == "POST":
        guard.check_origin(request, desk.services.settings)
        if page.upload:
            form, files = await guard.read_upload(request, page.upload)
        else:
            form = await guard.read_form(request)
        guard.check_token(form, viewer.csrf)
        await asyncio.to_thread(desk.spend, viewer)
    ask = Ask(
        desk=desk,
        viewer=viewer,
        path=request.path_params,
        query=dict(request.query_params),
        form=form,
        language=language_of(request),
        source=request.client.host if request.client is not None else "",
        now=desk.now(),
        address=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        origin=guard.origin_of(request),
        files=files,
        still=functools.partial(desk.viewer, token, touch=False),
        accept=request.headers.get("accept", ""),
    )
    try:
        answer = await asyncio.to_thread(page.view, ask)
    except Failure as failure:
        if page.method == "POST" and (given := await asyncio.to_thread(_given_back, ask, failure, request)) is not None:
            return given
        raise
    if isinstance(answer, Live):
        return _stream(desk, answer, request, viewer)
    if isinstance(answer, Reply):
        return _File(answer)
    return await asyncio.to_thread(_response, answer, ask, page)


def _given_back(ask: Ask, failure: Failure, request: Request) -> Response | None:
    """The page of a refused form, with what was typed."""
    referer, values = request.headers.get("referer", ""), frame(ask.desk, ask.viewer)
    found = given_back(ask, failure, request.url.path, referer, values)
    return None if found is None else HTMLResponse(found.html, found.status, headers=_headers(ask.language))


def _stream(desk: Desk, answer: Live, request: Request, viewer: Viewer) -> Response:
    token = guard.token_of(request)

    def holds() -> bool:
        return desk.viewer(token, touch=False) is not None

    who = live.Who(viewer.account.id, viewer.mark)
    seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")
    return StreamingResponse(
        live.events(desk.live, answer, seen, who, holds), media_type="text/event-stream", headers=HEADERS
    )


class _File(Response):
    """A file that is made while it is sent."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = replace(reply, headers={**HEADERS, **reply.headers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_stream(self._reply, scope, receive, send)


def _response(answer: Shown | Moved | Sent, ask: Ask, page: Page) -> Response:
    if isinstance(answer, Moved):
        done = f"{'&' if '?' in answer.to else '?'}{urlencode({'done': answer.done})}" if answer.done else ""
        return RedirectResponse(answer.to + done, status_code=303, headers=HEADERS)
    if isinstance(answer, Sent):
        named = f"attachment; filename*=UTF-8''{quote(answer.name)}" if answer.name else "inline"
        headers = {**HEADERS, "content-disposition": named}
        return Response(answer.content, media_type=answer.media_type, headers=headers)
    return shown(
        answer, ask.desk, ask.viewer, ask.language, here=ask.address, page=page, done=ask.query.get("done", "")
    )


def shown(
    answer: Shown,
    desk: Desk,
    viewer: Viewer | None,
    language: Language,
    *,
    here: str,
    page: Page | None = None,
    done: str = "",
) -> Response:
    """A page in its frame."""
    values = {
        **frame(desk, viewer),
        "here": here,
        "page": page,
        "done": done,
        **answer.values,
    }
    return HTMLResponse(
        render(answer.template, language, values),
        answer.status,
        headers=_headers(language),
    )


def _headers(language: Language) -> dict[str, str]:
    return {**HEADERS, "content-language": language, "vary": "accept-language, cookie"}


def frame(desk: Desk, viewer: Viewer | None) -> dict[str, Any]:
    """What the base template needs."""
    may = frozenset() if viewer is None else viewer.account.may
    every = pages_of(desk)
    menu = [
        (group, [page for page in every if page.menu is group and page.may in may])
        for group in Menu
        if any(page.menu is group and page.may in may for page in every)
    ]
    settings = desk.services.settings
    alarms = Alarms() if viewer is None else desk.alarms()
    shared = {"instance": settings.name, "kind": settings.kind, "home": HOME, "form_refused": None}
    told = {"log_alarm": alarms.log, "alone": alarms.alone if May.OPERATE in may else None}
    return {"viewer": viewer, "may": may, "menu": menu, **shared, **told}


def language_of(request: Request) -> Language:
    asked = request.query_params.get("lang") or request.cookies.get(_LANGUAGE, "")
    if asked == "vi" or asked == "en":
        return "vi" if asked == "vi" else "en"
    return problems.language_of(request.headers.get("accept-language"))


async def _asset(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    return Response(asset(name), media_type=STATIC[name], headers={**HEADERS, "cache-control": "max-age=3600"})


def failed(desk: Desk, request: Request, failure: Exception) -> Response:
    assert isinstance(failure, Failure)
    language, viewer = language_of(request), getattr(request.state, "viewer", None)
    answer = Shown("trouble.html", failure_values(failure, language), failure.status)
    try:
        response = shown(answer, desk, viewer, language, here=request.url.path)
    except (Failure, SQLAlchemyError):  # registry or database cannot be read: as to somebody without a session
        response = shown(answer, desk, None, language, here=request.url.path)
    if failure.retry_after is not None:
        response.headers["retry-after"] = str(failure.retry_after)
    return response


def broken(desk: Desk, request: Request, trouble: Exception) -> Response:
    """The page of a database that takes nothing now, or of a fault that nobody foresaw, with its id in the log."""
    away = unavailable(trouble)
    if away is None:
        id = str(request.scope.get(TRANSFER) or new_id(int(desk.now() * 1000)))
        _log.error("request %s: unexpected fault", id, exc_info=trouble)
        return failed(desk, request, GATEWAY_FAULT(transfer=id))
    if away.code == JOURNAL_UNAVAILABLE.code:  # its words are those for senders of messages
        away = CONSOLE_DATABASE(retry_after=away.retry_after, reason=away.facts["reason"])
    _log.warning("%s: %s", request.method, away.what("en"))
    return failed(desk, request, away)


def _unknown(desk: Desk, request: Request, failure: Exception) -> Response:
    """An address that no page has. It comes before a page is found, so nobody was asked for yet."""
    assert isinstance(failure, HTTPException)
    with suppress(Failure, SQLAlchemyError):
        request.state.viewer = desk.viewer(guard.token_of(request))
    return failed(desk, request, CONSOLE_NO_PAGE(path=request.url.path[:200]))
