"""Serves the listener for people: the status page, the contracts' documents, and the read-only operations.

Pages are rendered on the server (Starlette, Jinja2), work without JavaScript, and have a strict content policy.
Invariant: this process only reads. Nothing that it serves changes anything, shows a body, or needs a key.
"""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from contracts.base.errors import Failure
from contracts.wire import problems
from gateway.console.words import WORDS
from gateway.doors import documents
from gateway.doors.api import audit
from gateway.doors.api import status as api_status
from gateway.doors.api.apis import DOCUMENTS, PEOPLE, build, merge
from gateway.doors.api.services import DeskServices
from gateway.doors.exchange_app import SOAP_PREFIX
from gateway.doors.health import METRICS, PROBES, Health, Vitals
from gateway.doors.http import refusals
from gateway.doors.http.body import Receive, Scope, Send
from gateway.doors.http.shell import Shell, send_reply
from gateway.doors.reply import Reply
from security.grants.windows import civil

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def build_desk(services: DeskServices) -> Any:
    """The ASGI application of the listener for people."""
    vitals = _vitals(services)
    document = merge([DOCUMENTS / "audit.yaml", DOCUMENTS / "management.yaml"], PEOPLE)
    settings = services.settings
    apis = Shell(
        app=build(document, {**audit.HANDLERS, **api_status.handlers(vitals)}, services),
        registry=services.registry,
        base=settings.base,
        body_seconds=settings.body_seconds,
        clock=services.clock,
        health=Health(vitals, PROBES if settings.metrics_port else PROBES | {METRICS}),
    )
    pages = _pages(services, vitals)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await served(scope, receive, send)
        except Failure as failure:  # the registry or the schema was altered
            await _failure_page(Request(scope), failure)(scope, receive, send)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/" or path == "/console" or path.startswith("/console/"):
            await pages(scope, receive, send)
        elif documents.is_document(path):
            reply = documents.document(services.registry.snapshot, scope, settings.base, "")
            await send_reply(reply, scope, send)
        elif path.startswith(SOAP_PREFIX) and (soap := _soap_document(services, scope)) is not None:
            await send_reply(soap, scope, send)
        else:
            await apis(scope, receive, send)

    return app


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
    return Vitals(
        services.engine, services.registry, services.clock, settings.drop_root, settings.run / refusals.FOLDER
    )


def _failure_page(request: Request, failure: Failure) -> Response:
    """A page with the failure and the next step."""
    language = problems.language_of(request.headers.get("accept-language"))
    page = _templates().get_template("trouble.html")
    text = page.render(
        language=language,
        code=failure.code,
        title=failure.title(language),
        what=failure.what(language),
        next=failure.next(language),
    )
    return HTMLResponse(
        text, failure.status, headers={**_HEADERS, "content-language": language, "vary": "accept-language"}
    )


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.console"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["local"] = partial(civil, seconds=True)
    return environment


def _pages(services: DeskServices, vitals: Vitals) -> Starlette:
    page = _templates().get_template("status.html")
    style = resources.files("gateway.console").joinpath("style.css").read_bytes()

    async def status(request: Request) -> Response:
        requested = request.query_params.get("lang")
        language = requested if requested in WORDS else problems.language_of(request.headers.get("accept-language"))
        gathered = await api_status.gather(services, vitals, services.registry.snapshot)
        text = page.render(
            status=gathered,
            word=WORDS[language],
            language=language,
            other="en" if language == "vi" else "vi",
            now=services.clock(),
        )
        return HTMLResponse(text, headers={**_HEADERS, "content-language": language, "vary": "accept-language"})

    async def sheet(request: Request) -> Response:
        return Response(style, media_type="text/css", headers={**_HEADERS, "cache-control": "max-age=3600"})

    async def home(request: Request) -> Response:
        return RedirectResponse("/console", status_code=303, headers=_HEADERS)

    def trouble(request: Request, failure: Exception) -> Response:
        assert isinstance(failure, Failure)
        return _failure_page(request, failure)

    return Starlette(
        exception_handlers={Failure: trouble},
        routes=[Route("/", home), Route("/console", status), Route("/console/style.css", sheet)],
    )
