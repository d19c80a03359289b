"""What a sandbox serves to vendors: pages below `/sandbox`, and the same for programs as JSON.

    GET  /sandbox/join                                the page that asks what a vendor wants
    POST /sandbox/join                                a form, or JSON: a tenant, its first system, and an access token
    GET  /sandbox/api/systems                         the tenant's systems
    POST /sandbox/api/systems                         another system
    PUT  /sandbox/api/systems/{id}                    what a system does, and where it is called
    POST /sandbox/api/systems/{id}/certificates       requests; the answer holds certificates and credentials

What else a sandbox serves to programs stands beside: `fault_programs`, `operating`, `calls.web`, `clock.pages`,
`conformance.web`. Programs bring the access token of the join (`programs`), and look at nothing but their own tenant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway.console.accounts.records import Viewer
from gateway.console.errors import LOGIN_NEEDED
from gateway.console.site import guard
from gateway.console.site.desk import Desk
from gateway.console.site.page import Beside, Shown
from gateway.console.site.render import HEADERS, failure_values
from gateway.console.site.site import language_of, shown
from gateway.console.work.system_certificates import USES
from gateway.exchange.floods import block_of
from gateway.journal.jobs import RUNNING, Job
from gateway.registry.own_feed import OWN
from gateway.registry.registry import POLL_SECONDS
from gateway.sandbox.calls import pages as calls_pages
from gateway.sandbox.calls import web as calls_web
from gateway.sandbox.clock import pages as clock
from gateway.sandbox.conformance import pages as conformance_pages
from gateway.sandbox.conformance import web as conformance_programs
from gateway.sandbox.vendors import certificates, fault_programs, first_calls, operating, showing
from gateway.sandbox.vendors.application import FIELDS, SYSTEM_FIELDS
from gateway.sandbox.vendors.errors import SANDBOX_FORM, SANDBOX_NOT_ISSUED
from gateway.sandbox.vendors.joining import Vendors, session, token
from gateway.sandbox.vendors.pages import PAGES
from gateway.sandbox.vendors.programs import answered, object_of, problems, source_of, tenant_of

ROOT: Final = "/sandbox"
JOIN: Final = f"{ROOT}/join"
API: Final = f"{ROOT}/api/systems"
_FORM: Final = "application/x-www-form-urlencoded"
_PAUSE: Final = 0.2
_RETRY: Final = 5
_TAKEN_UP: Final = 2 * POLL_SECONDS  # so that the first call finds doors that know the new keys, rights and addresses
Handler = Callable[[Vendors, Request], Awaitable[Response]]


def routes(desk: Desk) -> list[Route]:
    """The addresses that need no session of a browser."""
    vendors = Vendors(desk)
    each: list[tuple[str, Handler, str]] = [
        (API, _systems, "GET"),
        (API, _add, "POST"),
        (f"{API}/{{id}}", _change, "PUT"),
        (f"{API}/{{id}}/certificates", _certify, "POST"),
    ]
    programs = [
        Route(path, partial(problems, partial(handler, vendors)), methods=[method]) for path, handler, method in each
    ]
    return [
        Route(JOIN, partial(_page, vendors), methods=["GET"]),
        Route(JOIN, partial(_join, vendors), methods=["POST"]),
        *programs,
        *fault_programs.routes(desk),
        *operating.routes(desk),
        *calls_web.routes(desk),
        *clock.routes(desk),
        *conformance_programs.routes(desk),
    ]


BESIDE: Final = Beside(ROOT, (*PAGES, *calls_pages.PAGES, *clock.PAGES, *conformance_pages.PAGES), routes)


# --- joining ----------------------------------------------------------------------------------------------------------
async def _page(vendors: Vendors, request: Request) -> Response:
    return await asyncio.to_thread(_form, vendors.desk, request, {}, None)


def _form(desk: Desk, request: Request, given: dict[str, str], failure: Failure | None) -> Response:
    language, snapshot = language_of(request), desk.services.registry.snapshot
    viewer = desk.viewer(guard.token_of(request))
    values = {
        "contracts": [(name, each.contract.title) for name, each in sorted(snapshot.contracts.items())
                      if name not in OWN],
        "chosen": given.get("contracts", "").split(),
        "given": {field: given.get(field, "")[:400] for field in FIELDS},
        "way": desk.services.settings.sandbox_join,
        "origin": guard.origin_of(request, desk.services.settings.desk_base),
        "failure": None if failure is None else failure_values(failure, language),
    }  # fmt: skip
    answer = Shown("sandbox-join.html", values, 200 if failure is None else failure.status)
    response = shown(answer, desk, viewer, language, here=request.url.path)
    if failure is not None and failure.retry_after is not None:
        response.headers["retry-after"] = str(failure.retry_after)
    return response


async def _join(vendors: Vendors, request: Request) -> Response:
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        return await problems(partial(_join_program, vendors), request)
    desk, source = vendors.desk, source_of(request)
    guard.check_origin(request, desk.services.settings)
    form = await guard.read_form(request)
    try:
        joined = await desk.hashing.run(("source", block_of(source)), vendors.join, form, source, session(source))
    except Failure as failure:
        return await asyncio.to_thread(_form, desk, request, form, failure)
    answer = RedirectResponse(f"{ROOT}/tenant/systems/{joined.system}", status_code=303, headers=HEADERS)
    answer.headers.append("set-cookie", guard.set_cookie(joined.key, guard.is_secure(request)))
    return answer


async def _join_program(vendors: Vendors, request: Request) -> Response:
    if not guard.is_own(request, vendors.desk.services.settings):  # a page of another site
        raise LOGIN_NEEDED()
    desk, source, given = vendors.desk, source_of(request), await object_of(request, FIELDS)
    joined = await desk.hashing.run(("source", block_of(source)), vendors.join, given, source, token(desk.now()))
    hosts = await asyncio.to_thread(showing.hosts, desk, joined.system)
    origin = guard.origin_of(request, desk.services.settings.desk_base)
    content = {
        "tenant": joined.agency,
        "system": joined.system,
        "account": joined.account,
        "token": joined.key,
        "hosts": list(hosts),
        "certificates": f"{origin}{API}/{joined.system}/certificates",
        "openssl": first_calls.openssl(joined.system, hosts),
        "page": f"{origin}{ROOT}/tenant/systems/{joined.system}",
    }
    return answered(201, content)


# --- for programs -----------------------------------------------------------------------------------------------------
async def _systems(vendors: Vendors, request: Request) -> Response:
    viewer = await tenant_of(vendors.desk, request)
    return answered(200, await asyncio.to_thread(showing.for_programs, vendors.desk, viewer))


async def _add(vendors: Vendors, request: Request) -> Response:
    viewer, given = await tenant_of(vendors.desk, request), await object_of(request, SYSTEM_FIELDS)
    system = await _run(vendors.desk, viewer, vendors.add_system, viewer.account.agency, given)
    await asyncio.sleep(_TAKEN_UP)
    hosts = await asyncio.to_thread(showing.hosts, vendors.desk, system)
    return answered(201, {"system": system, "hosts": list(hosts), "openssl": first_calls.openssl(system, hosts)})


async def _change(vendors: Vendors, request: Request) -> Response:
    viewer, given = await tenant_of(vendors.desk, request), await object_of(request, SYSTEM_FIELDS)
    system = showing.own(vendors.desk, viewer, request.path_params["id"])
    await _run(vendors.desk, viewer, vendors.change_system, viewer.account.agency, system.id, given)
    await asyncio.sleep(_TAKEN_UP)
    hosts = await asyncio.to_thread(showing.hosts, vendors.desk, system.id)
    return answered(200, {"system": system.id, "hosts": list(hosts), "openssl": first_calls.openssl(system.id, hosts)})


async def _certify(vendors: Vendors, request: Request) -> Response:
    """Waits for the keeper, and answers with the files: as a ZIP file, or as JSON for who accepts that alone."""
    desk = vendors.desk
    viewer = await tenant_of(desk, request)
    system = showing.own(desk, viewer, request.path_params["id"])
    texts = await _fields(request)
    job = await _run(desk, viewer, certificates.order, desk, viewer, system.id, texts)
    async with asyncio.timeout(certificates.SECONDS + 5):
        job = await _ended(desk, viewer, system.id, job)
    if (trouble := job.facts.get("trouble")) is not None:
        raise SANDBOX_FORM(
            field="-", why=Words(*(f"{trouble['code']}: {trouble[each]['what']}" for each in ("vi", "en")))
        )
    await asyncio.sleep(_TAKEN_UP)
    mine = await asyncio.to_thread(certificates.issued, desk, system.id)
    files = await asyncio.to_thread(certificates.credentials, desk, system, mine)
    if "application/json" in request.headers.get("accept", ""):
        return answered(201, {"system": system.id, "files": {name: text.decode() for name, text in files.items()}})
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{system.id}.zip"'}
    return Response(certificates.archive(files), 201, media_type="application/zip", headers=headers)


async def _ended(desk: Desk, viewer: Viewer, system: str, job: Job) -> Job:
    """The order when the keeper has carried it out. Raises `sandbox.not-issued`."""
    for _ in range(round(certificates.SECONDS / _PAUSE)):
        if job.state != RUNNING:
            return job
        await asyncio.sleep(_PAUSE)
        job = await asyncio.to_thread(certificates.outcome, desk, viewer, system, job.id)
    raise SANDBOX_NOT_ISSUED(seconds=round(certificates.SECONDS), retry_after=_RETRY)


async def _run(desk: Desk, viewer: Viewer, work: Callable[..., Any], *of: Any) -> Any:
    return await desk.services.readers.run(("agency", viewer.account.agency), work, *of)


async def _fields(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip() == _FORM:
        return await guard.read_form(request)
    given = await object_of(request, USES)
    if not all(isinstance(each, str) for each in given.values()):
        raise SANDBOX_FORM(field="-", why="certificate requests are texts, by use")
    return given
