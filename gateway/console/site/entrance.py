"""The pages that need no session: signing in and out, and links that sign in once.

Invariant: a link signs in by a POST of its own page, so that no preview of the address uses it up.
Invariant: after signing in nobody is sent to another site.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from contracts.base.errors import Failure
from gateway.console.accounts import passkeys, sessions, signing_in
from gateway.console.errors import CONSOLE_NO_PAGE
from gateway.console.site import guard
from gateway.console.site.desk import Desk
from gateway.console.site.page import Shown
from gateway.console.site.render import HEADERS, failure_values
from gateway.console.site.site import HOME, language_of, shown
from gateway.exchange.floods import block_of

_LONGEST_NEXT: Final = 400  # characters, so that the cookie that holds it is kept


def routes(desk: Desk) -> list[Route]:
    each: list[tuple[str, Any, str]] = [
        ("/sign-in", _sign_in_page, "GET"),
        ("/sign-in", _sign_in, "POST"),
        ("/sign-in/passkey", _passkey, "POST"),
        ("/link/{token}", _link_page, "GET"),
        ("/link/{token}", _link, "POST"),
        ("/sign-out", _sign_out, "POST"),
        ("/oidc/start", _oidc_start, "GET"),
        ("/oidc/callback", _oidc_callback, "GET"),
        ("/language", _language, "GET"),
    ]
    return [Route(HOME + path, partial(function, desk), methods=[method]) for path, function, method in each]


def local(address: str) -> str:
    """The address if it is a page of the console or of the sandbox, else the home page."""
    fits = address == HOME or address.startswith((f"{HOME}/", f"{HOME}?", "/sandbox/"))
    return address if fits and address.isprintable() and "\\" not in address and "//" not in address else HOME


async def _sign_in_page(desk: Desk, request: Request) -> Response:
    ended = request.query_params.get("ended") == "1"
    values = {"next": local(request.query_params.get("next", HOME)), "failure": None, "name": "", "ended": ended}
    return _page(desk, request, Shown("sign-in.html", values))


def _asked(desk: Desk, request: Request) -> dict[str, Any]:
    """What the browser needs to sign in by a passkey, or why it cannot here."""
    site = desk.passkeys(guard.origin_of(request, desk.services.settings.desk_base))
    options = passkeys.request(site, passkeys.challenge(site, passkeys.SIGN_IN, desk.now()))
    return {"unable": site.unable, "options": json.dumps(options)}


async def _passkey(desk: Desk, request: Request) -> Response:
    base = desk.services.settings.desk_base
    guard.check_origin(request, desk.services.settings)
    form = await guard.read_form(request)
    site, given = desk.passkeys(guard.origin_of(request, base)), form.get("credential", "")
    return await _entered(desk, request, lambda: desk.sign_in(_source(request)).by_passkey(site, given), form)


async def _sign_in(desk: Desk, request: Request) -> Response:
    guard.check_origin(request, desk.services.settings)
    form = await guard.read_form(request)
    given = signing_in.Given(form.get("name", "").strip()[:63], form.get("password", ""), form.get("code", "").strip())
    return await _entered(desk, request, lambda: desk.sign_in(_source(request)).by_password(given), form)


async def _link_page(desk: Desk, request: Request) -> Response:
    return _page(desk, request, Shown("link.html", {"failure": None}))


async def _link(desk: Desk, request: Request) -> Response:
    guard.check_origin(request, desk.services.settings)
    token = request.path_params["token"][:128]
    form = await guard.read_form(request) if "content-type" in request.headers else {}
    code = form.get("code", "").strip()[:64]
    return await _entered(desk, request, lambda: desk.sign_in(_source(request)).by_link(token, code), {})


async def _entered(
    desk: Desk, request: Request, attempt: Callable[[], signing_in.Outcome], form: dict[str, str]
) -> Response:
    outcome = await desk.hashing.run(("source", block_of(_source(request))), attempt)
    if isinstance(outcome, Failure):
        values = {
            "failure": failure_values(outcome, language_of(request)),
            "next": local(form.get("next", HOME)),
            "name": form.get("name", ""),
        }
        return _page(desk, request, Shown("sign-in.html", values, outcome.status))
    await _end_former(desk, guard.token_of(request))
    answer = RedirectResponse(local(form.get("next", HOME)), status_code=303, headers=HEADERS)
    answer.headers.append("set-cookie", guard.set_cookie(outcome, guard.is_secure(request)))
    return answer


async def _end_former(desk: Desk, token: str) -> None:
    """Whoever signs in anew, or as somebody else, leaves no session of before behind."""
    if token:
        await asyncio.to_thread(signing_in.ended, desk.services.engine, desk.seal, token, desk.now())


async def _oidc_start(desk: Desk, request: Request) -> Response:
    """To the organisation's provider. It changes nothing here, so an address alone may do it."""
    if desk.provider is None:
        raise CONSOLE_NO_PAGE(path=request.url.path)
    wanted = local(request.query_params.get("next", HOME)[:_LONGEST_NEXT])
    address, flow = await desk.provider.start(desk.sealer, wanted, desk.now(), guard.token_of(request))
    answer = RedirectResponse(address, status_code=303, headers=HEADERS)
    answer.headers.append("set-cookie", guard.set_flow(flow, guard.is_secure(request)))
    return answer


async def _oidc_callback(desk: Desk, request: Request) -> Response:
    """From the provider. The next page is asked for by a page of ours, so that the browser sends the new cookie."""
    if desk.provider is None:
        raise CONSOLE_NO_PAGE(path=request.url.path)
    secure, wanted, former, sign_in = guard.is_secure(request), HOME, "", desk.sign_in(_source(request))
    query = {name: given[0] for name in request.query_params if len(given := request.query_params.getlist(name)) == 1}
    outcome: signing_in.Outcome
    try:
        account, wanted, former = await desk.provider.finish(desk.sealer, guard.flow_of(request), query, desk.now())
        outcome = await asyncio.to_thread(sign_in.by_provider, account)
    except Failure as failure:
        outcome = await asyncio.to_thread(sign_in.refused, "", failure)
    if isinstance(outcome, Failure):
        values = {"failure": failure_values(outcome, language_of(request)), "next": HOME, "name": ""}
        answer = _page(desk, request, Shown("sign-in.html", values, outcome.status))
    else:
        await _end_former(desk, former)
        answer = _page(desk, request, Shown("arrived.html", {"to": local(wanted)}))
        answer.headers.append("set-cookie", guard.set_cookie(outcome, secure))
    answer.headers.append("set-cookie", guard.set_flow("", secure))
    return answer


async def _sign_out(desk: Desk, request: Request) -> Response:
    guard.check_origin(request, desk.services.settings)
    form, token = await guard.read_form(request), guard.token_of(request)
    viewer = await asyncio.to_thread(desk.viewer, token)
    if viewer is not None:
        guard.check_token(form, viewer.csrf)

        def end() -> None:
            with desk.changing(viewer) as change:
                sessions.close(change, viewer.account.id, token)
                change.note(signing_in.SIGNED_OUT, {"account": viewer.account.id})

        await asyncio.to_thread(end)
    answer = RedirectResponse(f"{HOME}/sign-in", status_code=303, headers=HEADERS)
    answer.headers.append("set-cookie", guard.set_cookie("", guard.is_secure(request)))
    return answer


async def _language(desk: Desk, request: Request) -> Response:
    """Keeps the chosen language, and goes back."""
    language = "en" if request.query_params.get("to") == "en" else "vi"
    answer = RedirectResponse(local(request.query_params.get("next", HOME)), status_code=303, headers=HEADERS)
    answer.headers.append("set-cookie", f"lgsp-language={language}; Path=/; Max-Age=31536000; SameSite=Lax")
    return answer


def _page(desk: Desk, request: Request, answer: Shown) -> Response:
    common: dict[str, Any] = {"provider": desk.provider is not None}
    if answer.template == "sign-in.html":
        common["passkey"] = _asked(desk, request)
    answer = replace(answer, values={**common, **answer.values})
    return shown(answer, desk, None, language_of(request), here=request.url.path)


def _source(request: Request) -> str:
    return request.client.host if request.client is not None else ""
