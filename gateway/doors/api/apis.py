"""The gateway's own APIs: `openapi/*.yaml` served by connexion as middleware around our handlers.

    gate (bytes, limits, failures to answers) -> connexion: routing, security, validation -> inner (handler, signed answer)

What connexion 3.3 leaves open is closed here:
- an operation without `security`, or with an empty one that does not say why it is public, refuses to start;
- a body or parameter that would go unchecked refuses to start (`api_validation`);
- a path that it does not know reaches the inner application unauthenticated: there it is refused, as is whatever carries no routing, and
  an operation that demands a proven system but came without one;
- it answers a path with a slash too many by a redirect made from the Host header: switched off;
- given several documents on one base path it never asks the middle ones: they are merged into one, and a name that two of them define
  differently refuses to start.
Invariant: each failure becomes an answer in the gate, logged where the listener has a log, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.routing import Mount, Router

import gateway.doors.failures  # noqa: F401  (registers the codes)
from contracts.base import safeyaml
from contracts.base.errors import Failure, Ours, Theirs
from contracts.base.ids import new_id
from contracts.wire import problems
from gateway.doors.api import audit, authority, feeds, keys, reconciliation, tokens, transfers
from gateway.doors.api.connexion_parts import (
    ConnexionMiddleware,
    ProblemException,
    RequestValidationMiddleware,
    Resolver,
    RoutingMiddleware,
    SecurityMiddleware,
)
from gateway.doors.api.services import ApiRequest, Caller, Common, Handler, Services
from gateway.doors.api.validation import FORM_DATA, JSON_DATA, PARAMS, RECEIVED, Checks, validators
from gateway.doors.health import Health, Vitals
from gateway.doors.http.body import LATE, Gone, Receive, Scope, Send, brings_body, headers_of, read_body, target_uri
from gateway.doors.http.channel import identify
from gateway.doors.http.costs import BUDGETS, estimate, is_costly
from gateway.doors.http.taken_up import TRANSFER
from gateway.doors.reply import Reply
from gateway.exchange.stages import Face, Received
from gateway.registry.snapshot import Snapshot

DOCUMENTS: Final = Path(__file__).resolve().parents[3] / "openapi"
BODY_LIMIT: Final = (
    65_536  # what these take are short forms, but for an operation that states its own `x-lgsp-body-limit`
)
EXCHANGE, PEOPLE = "exchange", "people"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_CALLER, _SNAPSHOT, _ROUTING = "lgsp.caller", "lgsp.snapshot", "connexion_routing"
_SHOWN: Final = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
_log: Final = logging.getLogger("lgsp.apis")


class BadDocument(ValueError):
    """An API document that must not be served; the text says which operation and why."""


def build_apis(services: Services) -> Health:
    """The APIs of the exchange listener, and what it tells machines of its health."""
    handlers: dict[str, Handler] = {
        "issueToken": tokens.issue_token,
        "readAuthorizationServer": tokens.read_metadata,
        "readKeys": keys.read_keys,
        "readFeed": feeds.read_feed,
        "readTransfer": transfers.read_transfer,
        **audit.HANDLERS,
        "readProof": audit.read_proof,
        "readEntries": audit.read_entries,
        "reconcileCounts": reconciliation.reconcile,
        "readRevocationList": authority.read_revocation_list,
    }
    documents = [DOCUMENTS / f"{name}.yaml" for name in ("tokens", "keys", "feeds", "transfers", "audit", "authority")]
    return Health(
        build(merge(documents, EXCHANGE), handlers, services),
        Vitals(services.engine, services.registry, services.clock, services.settings.drop_root),
    )


def merge(documents: Sequence[Path], listener: str) -> dict[str, Any]:
    """One document of those operations that this listener serves."""
    merged: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {"title": "LGSP", "version": "1.0.0"},
        "paths": {},
        "components": {},
    }
    for path in documents:
        raw = safeyaml.load(path.read_text("utf-8"))
        for address, item in raw["paths"].items():
            kept = {
                name: value
                for name, value in item.items()
                if name not in _METHODS or listener in value.get("x-lgsp-listeners", ())
            }
            if not _METHODS & set(kept):
                continue
            if address in merged["paths"]:
                raise BadDocument(f"{path.name}: {address} stands in another document too")
            merged["paths"][address] = kept
        for kind, named in raw.get("components", {}).items():
            known = merged["components"].setdefault(kind, {})
            for name, value in named.items():
                if known.setdefault(name, value) != value:
                    raise BadDocument(f"{path.name}: components/{kind}/{name} differs from that of another document")
    return merged


def build(document: dict[str, Any], handlers: Mapping[str, Handler], services: Common) -> ApiGate:
    """An ASGI application for a merged document; `BadDocument` for one that must not be served."""
    operations = _operations(document, handlers)

    def resolve(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = schema.get("$ref")
        found: Mapping[str, Any] = (
            document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
        )
        return found

    checks: dict[str, Checks] = {}
    for name, operation in operations.items():
        try:
            checks[name] = Checks.compile(operation, resolve)
        except ValueError as wrong:
            raise BadDocument(f"{name}: {wrong}") from None
    inner = _Inner(
        services, handlers, frozenset(name for name, operation in operations.items() if operation["security"])
    )
    middleware = ConnexionMiddleware(
        inner,
        middlewares=[RoutingMiddleware, SecurityMiddleware, RequestValidationMiddleware],
        resolver=Resolver(lambda name: handlers[name]),
        validator_map=validators(checks),
        security_map={"bearer": _security(services)},
        strict_validation=True,
    )
    middleware.add_api(document)
    # What it would do at the first request: built now, so that a document that does not hold stops the start.
    middleware.app, middleware.middleware_stack = middleware._build_middleware_stack()
    for layer in middleware.middleware_stack:
        if isinstance(layer, RoutingMiddleware):
            _without_redirects(layer.router)
    oauth = frozenset(
        path
        for path, item in document["paths"].items()
        for method in _METHODS & set(item)
        if item[method].get("x-lgsp-errors") == "oauth"
    )
    limits = {
        path: int(item[method]["x-lgsp-body-limit"])
        for path, item in document["paths"].items()
        for method in _METHODS & set(item)
        if "x-lgsp-body-limit" in item[method]
    }
    return ApiGate(middleware, services, oauth, limits)


def _operations(document: Mapping[str, Any], handlers: Mapping[str, Handler]) -> dict[str, dict[str, Any]]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    found: dict[str, dict[str, Any]] = {}
    for address, item in document["paths"].items():
        for method in _METHODS & set(item):
            operation = item[method]
            name = operation.get("operationId", "")
            where = f"{method.upper()} {address}"
            if name not in handlers or name in found:
                raise BadDocument(f"{where}: operationId {name!r} has no handler, or stands twice")
            if "security" not in operation:
                raise BadDocument(f"{where}: without `security` it would be open to everybody")
            if not operation["security"] and not operation.get("x-lgsp-public"):
                raise BadDocument(f"{where}: an operation open to everybody says why, in `x-lgsp-public`")
            for need in operation["security"]:
                if not need or set(need) - set(schemes):
                    raise BadDocument(f"{where}: `security` names a scheme that does not exist, or makes it optional")
                if any(schemes[scheme].get("scheme") != "bearer" for scheme in need):
                    raise BadDocument(f"{where}: a security scheme other than `bearer` would not be checked")
            found[name] = operation
    return found


def _without_redirects(router: Router) -> None:
    router.redirect_slashes = False
    for route in router.routes:
        if isinstance(route, Mount) and isinstance(route.app, Router):
            _without_redirects(route.app)


def _security(services: Common) -> type:
    class ProvenSystem:
        """Handler of the scheme `bearer`: not the token alone, but channel, token and signature together."""

        def get_fn(self, security_scheme: Any, required_scopes: Any) -> Any:
            async def verify(request: Any) -> dict[str, Any]:
                scope = request.scope
                caller = await services.authenticate(scope[RECEIVED], scope[_SNAPSHOT])
                scope[_CALLER].append(caller)
                return {"sub": caller.system.id}

            return verify

    return ProvenSystem


class _Inner:
    """Behind connexion: what arrives here without routing, or without the proof that its operation demands, is refused."""

    def __init__(self, services: Common, handlers: Mapping[str, Handler], proven: frozenset[str]) -> None:
        self._services = services
        self._handlers = handlers
        self._proven = proven

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received: Received = scope[RECEIVED]
        name = scope.get("extensions", {}).get(_ROUTING, {}).get("operation_id")
        handler = self._handlers.get(name) if name else None
        if handler is None:
            raise Theirs(
                "address.unknown",
                method=received.method,
                path=received.path,
                catalogue=f"{self._services.settings.base}/contracts",
            )
        caller: Caller | None = next(iter(scope[_CALLER]), None)
        if caller is None and name in self._proven:
            raise Ours("gateway.fault", transfer=received.transfer)
        request = ApiRequest(
            received, scope[_SNAPSHOT], scope.get(PARAMS, {}), scope.get(FORM_DATA, {}), caller, scope.get(JSON_DATA)
        )
        reply = await handler(self._services, request)
        for header, value in _SHOWN.items():
            reply.headers.setdefault(header, value)
        if caller is not None:
            reply = self._services.sign(received, reply)
        await send_reply(reply, scope, send)


class ApiGate:
    """Outermost: reads the request within its limits, and turns every failure into an answer."""

    def __init__(self, app: Any, services: Common, oauth: frozenset[str], limits: Mapping[str, int]) -> None:
        self._app = app
        self._services = services
        self._oauth = oauth
        self._limits = limits  # of whole paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        services = self._services
        inner = dict(scope)
        # A copy of ours: connexion writes into it, and a server may keep one for all requests of a connection.
        inner["extensions"] = {
            name: value for name, value in scope.get("extensions", {}).items() if not name.startswith("connexion")
        }
        inner["path_params"] = {}
        proven: list[Caller] = []  # filled by the security handler, whose scope is a copy of this one
        inner[_CALLER] = proven
        received = self._received(scope, {}, b"")
        started = False

        async def watched(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            snapshot = services.registry.snapshot
        except Failure as failure:  # not even who asks can be known
            reply = Reply(*problems.render(failure, transfer=None, accept_language=None))
            await send_reply(reply, scope, send)
            return
        try:
            headers = headers_of(scope)
            received = self._received(scope, headers, b"")
            if brings_body(headers):
                services.admit(received, snapshot)
            limit = min(self._limits.get(received.path, BODY_LIMIT), services.settings.body_limit)
            body = await self._body(scope, receive, received, snapshot, limit)
            snapshot = services.registry.snapshot  # else whoever sends slowly outlives a suspension
            received = self._received(scope, headers, body)
            inner[RECEIVED], inner[_SNAPSHOT] = received, snapshot
            await self._app(inner, _replayed(body), watched)
        except (Gone, asyncio.CancelledError):
            raise
        except Exception as trouble:
            told = self._failure(trouble, received)
            if started:
                raise
            reply = await services.refuse(received, snapshot, told, proven[0] if proven else None)
            if received.path in self._oauth:
                reply = tokens.as_oauth(told, reply)
            if told.code == "limit.cost":  # its body is not read
                reply.headers["connection"] = "close"
            await send_reply(reply, scope, send)

    async def _body(self, scope: Scope, receive: Receive, received: Received, snapshot: Snapshot, limit: int) -> bytes:
        """The body; a large one within the budget of the agency that sends it (`costs.py`), at the exchange listener, where who sends it is known."""
        seconds, budgets = self._services.settings.body_seconds, scope.get(BUDGETS)
        headers = dict(received.headers)
        if budgets is None or not brings_body(headers):
            return await read_body(receive, headers, limit=limit, seconds=seconds)
        agency = identify(received.certificate, snapshot, received.at).system.agency
        body = await read_body(receive, headers, limit=limit, seconds=seconds, admit=partial(budgets.admit, agency))
        if is_costly(body):
            turn = await budgets.begin(agency)
            turn.spend(estimate(body))
            turn.end()
        return body

    def _failure(self, trouble: Exception, received: Received) -> Failure:
        if isinstance(trouble, Failure):
            return trouble
        if isinstance(trouble, HTTPException) and trouble.status_code == 405:
            allowed = (trouble.headers or {}).get("Allow", "GET")
            return Theirs("address.method", method=received.method, path=received.path, allowed=allowed)
        if isinstance(trouble, HTTPException | ProblemException):
            status = trouble.status_code if isinstance(trouble, HTTPException) else trouble.status
            if status == 415:
                return Theirs(
                    "body.media-type",
                    got=received.headers.get("content-type", "—")[:80],
                    expected="as the API document says",
                )
            if 400 <= status < 500:
                return Theirs(
                    "address.unknown",
                    method=received.method,
                    path=received.path,
                    catalogue=f"{self._services.settings.base}/contracts",
                )
        _log.error("request %s: unexpected fault", received.transfer, exc_info=trouble)
        return Ours("gateway.fault", transfer=received.transfer)

    def _received(self, scope: Scope, headers: Mapping[str, str], body: bytes) -> Received:
        at = self._services.clock()
        query = scope.get("query_string", b"").decode("latin-1")
        peer = scope.get("client")
        base = self._services.settings.base
        return Received(
            transfer=scope.get(TRANSFER) or new_id(int(at * 1000)),
            at=at,
            face=Face.REST,
            method=scope["method"],
            path=scope["path"],
            target_uri=target_uri(scope, base),
            query=query,
            headers=headers,
            body=body,
            certificate=scope.get("extensions", {}).get("tls", {}).get("client_cert_der"),
            source=str(peer[0]) if peer else "",
        )


def _replayed(body: bytes) -> Receive:
    """A body that is already here, once; then the caller is taken to be gone."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def send_reply(reply: Reply, scope: Scope, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.status != 304:  # its content is what the caller has (RFC 9110 §8.6)
        headers.append((b"content-length", str(len(reply.body)).encode("ascii")))
    if reply.status == LATE:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})
