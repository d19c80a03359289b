"""The gateway's own APIs: `openapi/*.yaml` served by connexion as middleware around our handlers.

    shell (bytes, limits) -> ApiApp -> connexion: routing, security, validation -> inner (handler, signed answer)

What connexion 3.3 leaves open is closed here:
- an operation without `security`, or with an empty one that does not say why it is public, refuses to start;
- a body or parameter that would go unchecked refuses to start (`api_validation`);
- a path that it does not know reaches the inner application unauthenticated: there it is refused, as is whatever carries no routing, and
  an operation that demands a proven system but came without one;
- it answers a path with a slash too many by a redirect made from the Host header: switched off;
- given several documents on one base path it never asks the middle ones: they are merged into one, and a name that two of them define
  differently refuses to start.
Invariant: what connexion or a handler raises becomes a failure here, and an answer in the shell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.routing import Mount, Router

from contracts.base import safeyaml
from contracts.base.errors import Failure
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
from gateway.doors.errors import ADDRESS_METHOD, ADDRESS_UNKNOWN, BODY_MEDIA_TYPE
from gateway.doors.http.body import Receive, Scope, Send, brings_body
from gateway.doors.http.costs import estimate
from gateway.doors.http.shell import Call
from gateway.doors.reply import Reply
from gateway.errors import GATEWAY_FAULT
from gateway.transfer.stages import Face, Received

DOCUMENTS: Final = Path(__file__).resolve().parents[3] / "openapi"
BODY_LIMIT: Final = (
    65_536  # what these take are short forms, but for an operation that states its own `x-lgsp-body-limit`
)
EXCHANGE, PEOPLE = "exchange", "people"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_ASKED, _CALLER, _ROUTING = "lgsp.asked", "lgsp.caller", "connexion_routing"
_SHOWN: Final = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


class BadDocument(ValueError):
    """An API document that must not be served; the text says which operation and why."""


def build_apis(services: Services) -> ApiApp:
    """The APIs of the exchange listener."""
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
    return build(merge(documents, EXCHANGE), handlers, services)


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


def build(document: dict[str, Any], handlers: Mapping[str, Handler], services: Common) -> ApiApp:
    """What serves a merged document; `BadDocument` for one that must not be served."""
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
    return ApiApp(middleware, services, oauth, limits)


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
                caller = scope[_ASKED].caller = await services.authenticate(scope[_ASKED].call, scope[RECEIVED])
                return {"sub": caller.system.id}

            return verify

    return ProvenSystem


@dataclass(slots=True)
class _Asked:
    """One call on its way through connexion, which hands on copies of the scope: what they all refer to."""

    call: Call
    caller: Caller | None = None  # set by the security handler
    reply: Reply | None = None


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
            raise ADDRESS_UNKNOWN(
                method=received.method,
                path=received.path,
                catalogue=f"{self._services.settings.base}/contracts",
            )
        asked: _Asked = scope[_ASKED]
        caller = asked.caller
        if caller is None and name in self._proven:
            raise GATEWAY_FAULT(transfer=received.transfer)
        request = ApiRequest(
            call=asked.call,
            received=received,
            params=scope.get(PARAMS, {}),
            form=scope.get(FORM_DATA, {}),
            caller=caller,
            json=scope.get(JSON_DATA),
        )
        reply = await handler(self._services, request)
        for header, value in _SHOWN.items():
            reply.headers.setdefault(header, value)
        if caller is not None:
            reply = self._services.sign(received, reply)
        asked.reply = reply


class ApiApp:
    """An `Application`: hands each call through connexion, and says in a failure of ours what that raises."""

    def __init__(self, app: Any, services: Common, oauth: frozenset[str], limits: Mapping[str, int]) -> None:
        self._app = app
        self._services = services
        self._oauth = oauth
        self._limits = limits  # of whole paths

    async def answer(self, call: Call) -> Reply:
        call.read_head()
        if brings_body(call.headers) and call.shell.budgets is not None:
            call.channel()
        await call.read(min(self._limits.get(call.path, BODY_LIMIT), self._services.settings.body_limit))
        if call.turn is not None:
            call.turn.spend(estimate(call.body))
            call.turn.end()
        received, asked = call.received(Face.REST), _Asked(call)
        scope = dict(call.scope)
        # A copy of ours: connexion writes into it, and a server may keep one for all requests of a connection.
        scope["extensions"] = {
            name: value for name, value in scope.get("extensions", {}).items() if not name.startswith("connexion")
        }
        scope["path_params"] = {}
        scope[RECEIVED], scope[_ASKED] = received, asked
        try:
            await self._app(scope, _replayed(call.body), _unsent)
        except Exception as trouble:
            call.scope[_CALLER] = asked.caller
            failure = self._failure(trouble, received)
            if failure is None:
                raise
            raise failure from None
        if asked.reply is None:
            raise LookupError("connexion answered nothing")
        return asked.reply

    async def refuse(self, call: Call, failure: Failure) -> Reply:
        reply = await self._services.refuse(call.received(Face.REST), failure, call.scope.get(_CALLER))
        return tokens.as_oauth(failure, reply) if call.path in self._oauth else reply

    def unlogged(self, scope: Scope, failure: Failure) -> Reply:
        return Reply(*problems.render(failure, transfer=None, accept_language=None))

    def _failure(self, trouble: Exception, received: Received) -> Failure | None:
        """None for what nobody foresaw."""
        if isinstance(trouble, Failure):
            return trouble
        if isinstance(trouble, HTTPException) and trouble.status_code == 405:
            allowed = (trouble.headers or {}).get("Allow", "GET")
            return ADDRESS_METHOD(method=received.method, path=received.path, allowed=allowed)
        if isinstance(trouble, HTTPException | ProblemException):
            status = trouble.status_code if isinstance(trouble, HTTPException) else trouble.status
            if status == 415:
                return BODY_MEDIA_TYPE(
                    got=received.headers.get("content-type", "—")[:80],
                    expected="as the API document says",
                )
            if 400 <= status < 500:
                return ADDRESS_UNKNOWN(
                    method=received.method,
                    path=received.path,
                    catalogue=f"{self._services.settings.base}/contracts",
                )
        return None


def _replayed(body: bytes) -> Receive:
    """A body that is already here, once; then the caller is taken to be gone."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _unsent(message: Any) -> None:
    raise LookupError("connexion sent an answer of its own")
