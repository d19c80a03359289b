"""Serves the listener for people: the console, the public status page, the contracts' documents, and the operations of
the management API.

Pages are rendered on the server (Starlette, Jinja2), work without JavaScript, and have a strict content policy.
Invariant: without a session nothing that it serves changes anything, or shows more than counts, names and public keys.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from contracts.base.errors import Failure
from gateway.console.documentation import served as documentation
from gateway.console.operations import operations
from gateway.console.roles import May
from gateway.console.site import entrance, guard, operation, site
from gateway.console.site.desk import Desk
from gateway.console.site.page import Beside, Shown
from gateway.console.site.render import HEADERS
from gateway.console.words import WORDS
from gateway.doors import documents
from gateway.doors.api import audit
from gateway.doors.api import status as api_status
from gateway.doors.api.apis import DOCUMENTS, PEOPLE, build, merge
from gateway.doors.api.services import DeskServices
from gateway.doors.document_addresses import is_document
from gateway.doors.exchange_app import SOAP_PREFIX
from gateway.doors.health import METRICS, PROBES, Health, Vitals
from gateway.doors.http.body import Receive, Scope, Send
from gateway.doors.http.shell import Shell, send_reply
from gateway.doors.reply import Reply
from gateway.vault import stores

_FEEDS: Final = "/console/feeds/"  # for browsers: the operation of the API, by the session of the pages


@dataclass(frozen=True, slots=True)
class DeskApp:
    """The ASGI application of the listener for people. `drain` says that the process ends: streams end too."""

    serve: Callable[[Scope, Receive, Send], Awaitable[None]]
    drain: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.serve(scope, receive, send)


def build_desk(services: DeskServices, beside: Beside | None = None) -> DeskApp:
    """`beside`: what another package serves in the frame of the console."""
    vitals = _vitals(services)
    document = merge([DOCUMENTS / "audit.yaml", DOCUMENTS / "management.yaml"], PEOPLE)
    settings = services.settings
    desk = Desk(services, vitals, beside=beside)
    own = operation.handlers(desk, document, operations())
    handlers = {**audit.HANDLERS, **api_status.handlers(vitals), **own}
    apis = Shell(
        app=build(document, handlers, services, operation.prover(desk, document)),
        registry=services.registry,
        base=settings.base,
        body_seconds=settings.body_seconds,
        clock=services.clock,
        health=Health(vitals, PROBES if settings.metrics_port else PROBES | {METRICS}),
    )
    public = [] if beside is None else beside.routes(desk)
    pages = site.build_site(desk, [Route("/", _home), _status_page(desk), *entrance.routes(desk), *public])
    below = ("/console/",) if beside is None else ("/console/", f"{beside.root}/")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun = False

        async def noted(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await served(scope, receive, noted)
        except Failure as failure:  # the registry or the schema was altered
            await site.failed(desk, Request(scope), failure)(scope, receive, send)
        except Exception as trouble:
            if begun:  # the server cuts the connection, so that nobody takes half an answer for a whole one
                raise
            answer = await asyncio.to_thread(site.broken, desk, Request(scope), trouble)
            await answer(scope, receive, send)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(_FEEDS) and scope["method"] == "GET" and guard.is_own(Request(scope), settings):
            session = guard.token_of(Request(scope))
            named = {"path": path.replace("/console", "/api", 1), operation.SESSION: session}
            await apis({**scope, **named}, receive, send)
        elif path == "/" or path == "/console" or path.startswith(below):
            await pages(scope, receive, send)
        elif is_document(path):
            reply = documents.document(services.registry.snapshot, scope, documents.Bases(settings.base, "", ""))
            await send_reply(reply, scope, send)
        elif documentation.is_served(path):
            await send_reply(await asyncio.to_thread(documentation.reply, desk, scope), scope, send)
        elif path.startswith(SOAP_PREFIX) and (soap := _soap_document(services, scope)) is not None:
            await send_reply(soap, scope, send)
        else:
            await apis(scope, receive, send)

    def drain() -> None:
        apis.draining = desk.feeds.stopping = True
        desk.live.stop()

    return DeskApp(app, drain)


def build_metrics(services: DeskServices) -> Any:
    """The ASGI application of the listener of `metrics_port`."""
    health = Health(_vitals(services), PROBES | {METRICS})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send_reply(await health.reply(scope) or Reply(404, {}, b""), scope, send)

    return app


def _soap_document(services: DeskServices, scope: Scope) -> Reply | None:
    """`?wsdl` and `?xsd`, which stand at the address of the SOAP door."""
    path: str = scope["path"]
    if scope["method"] not in ("GET", "HEAD"):
        return None
    contract = services.registry.snapshot.contract(path.removeprefix(SOAP_PREFIX))
    return documents.soap_document(contract, scope["query_string"], services.settings.base + path)


def _vitals(services: DeskServices) -> Vitals:
    settings = services.settings
    second = stores.opened(settings, services.engine).second if stores.shared(settings) else None
    return Vitals(
        services.engine,
        services.registry,
        services.clock,
        settings.drop_root,
        settings.run,
        settings,
        second=second,
    )


def _status_page(desk: Desk) -> Route:
    """The state of the gateway for whoever reaches the desk: counts. Names are for who sees all systems."""

    async def status(request: Request) -> Response:
        language = site.language_of(request)
        services = desk.services
        viewer = await asyncio.to_thread(desk.viewer, guard.token_of(request))
        full = viewer is not None and viewer.account.scope is None and May.SYSTEMS in viewer.account.may
        gathered = await api_status.gather(services, desk.vitals, services.registry.snapshot)
        if full:
            gathered["refusals"] = await asyncio.to_thread(api_status.recent_refusals, services.engine)
        values = {"status": gathered, "word": WORDS[language], "full": full, **_counted(gathered)}
        return await asyncio.to_thread(
            site.shown, Shown("status.html", values), desk, viewer, language, here=request.url.path
        )

    return Route(f"{site.HOME}/status", status)


def _counted(status: dict[str, Any]) -> dict[str, Any]:
    """Systems by state, refusals by reason, and grants that wait, as numbers."""
    refused = Counter[str]()
    for each in status["refusals"]:
        refused[each["failure"]] += each["count"]
    return {
        "ready": Counter(each["ready"] for each in status["systems"]).most_common(),
        "refused": refused.most_common(),
        "unconfirmed": Counter(each["state"] for each in status["unconfirmed"]).most_common(),
    }


async def _home(request: Request) -> Response:
    return RedirectResponse(site.HOME, status_code=303, headers=HEADERS)
