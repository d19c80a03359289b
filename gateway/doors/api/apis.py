"""The gateway's own APIs: `openapi/*.yaml` served by connexion as middleware around our handlers.

    shell (bytes, limits) -> ApiApp -> connexion: routing, security, validation -> inner (handler, signed answer)

Gaps of connexion 3.3 that are closed here:
- An operation without `security`, or with an empty one that does not say why it is public, does not start.
- An unchecked body or parameter does not start (`validation`).
- connexion passes an unknown path to the inner application unauthenticated. It is refused there, as is a request
  without routing, or without the proof that its operation demands.
- connexion redirects a path with an extra slash using the Host header: switched off.
- connexion ignores the middle ones of several documents on one base path. They are merged; equal names do not start.

Invariant: what connexion or a handler raises becomes a failure here, and an answer in the shell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.routing import Mount, Router

from contracts.base import safeyaml
from contracts.base.errors import Failure
from contracts.wire import problems
from gateway.doors.api import (
    audit,
    authority,
    body_fetches,
    cases,
    feed_atom,
    feed_digests,
    feed_exports,
    feed_readers,
    feeds,
    figures,
    handlings,
    keys,
    reconciliation,
    resumable_uploads,
    subscriptions,
    tokens,
    transfer_answers,
    transfer_list,
    transfers,
)
from gateway.doors.api.connexion_parts import (
    API,
    ConnexionMiddleware,
    OwnDocument,
    ProblemException,
    RequestValidationMiddleware,
    Resolver,
    RoutingMiddleware,
    SecurityMiddleware,
)
from gateway.doors.api.services import ApiRequest, Caller, Common, Handler, Prove, Services
from gateway.doors.api.validation import FORM_DATA, JSON_DATA, PARAMS, RECEIVED, Checks, validators
from gateway.doors.document_addresses import read_on
from gateway.doors.errors import ADDRESS_METHOD, ADDRESS_UNKNOWN, BODY_MEDIA_TYPE
from gateway.doors.http.body import Receive, Scope, Send, brings_body
from gateway.doors.http.costs import estimate
from gateway.doors.http.shell import Call
from gateway.doors.reply import Reply
from gateway.errors import GATEWAY_FAULT
from gateway.transfer.stages import Face, Received

DOCUMENTS: Final = Path(__file__).resolve().parents[3] / "openapi"
BODY_LIMIT: Final = 65_536  # bytes, for operations without `x-lgsp-body-limit`
EXCHANGE, PEOPLE = "exchange", "people"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_API_CALL, _CALLER, _ROUTING = "lgsp.api-call", "lgsp.caller", "connexion_routing"
_SHOWN: Final = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


class BadDocument(ValueError):
    """An API document that must not be served. The text says which operation and why."""


def build_apis(services: Services) -> ApiApp:
    """The APIs of the exchange listener."""
    handlers: dict[str, Handler] = {
        "issueToken": tokens.issue_token,
        "readAuthorizationServer": tokens.read_metadata,
        "readKeys": keys.read_keys,
        **feeds.HANDLERS,
        "readDigests": feed_digests.read_digests,
        **feed_atom.HANDLERS,
        "readFigures": figures.read_figures,
        "exportFeed": feed_exports.export_feed,
        "listReaders": feed_readers.list_readers,
        "readTransfer": transfers.read_transfer,
        **subscriptions.HANDLERS,
        **handlings.HANDLERS,
        **cases.HANDLERS,
        "listTransfers": transfer_list.list_transfers,
        "readAnswer": transfer_answers.read_answer,
        **resumable_uploads.HANDLERS,
        "readBody": body_fetches.read_body,
        **audit.HANDLERS,
        "readProof": audit.read_proof,
        "readEntries": audit.read_entries,
        "reconcileCounts": reconciliation.reconcile,
        "readRevocationList": authority.read_revocation_list,
    }
    names = "tokens keys feeds subscriptions transfers bodies handlings cases audit authority".split()
    documents = [DOCUMENTS / f"{name}.yaml" for name in names]
    return build(merge(documents, EXCHANGE), handlers, services, services.authenticate)


def merge(documents: Sequence[Path], listener: str) -> dict[str, Any]:
    """One document of the operations that this listener serves."""
    info = {"title": "LGSP", "version": "1.0.0"}
    merged: dict[str, Any] = {"openapi": "3.0.3", "info": info, "paths": {}, "components": {}}
    for path in documents:
        raw = safeyaml.load(path.read_text("utf-8"))
        for address, item in raw["paths"].items():
            kept = {
                name: _unread(value) if name in _METHODS else value
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


def _unread(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without its body, if the handler reads that itself, as it comes (`x-lgsp-streamed`)."""
    streamed = operation.get("x-lgsp-streamed")
    return {name: value for name, value in operation.items() if not streamed or name != "requestBody"}


def build(document: dict[str, Any], handlers: Mapping[str, Handler], services: Common, prove: Prove) -> ApiApp:
    """Builds the application of a merged document. `prove` says who calls an operation that is not public. Raises
    `BadDocument`.
    """
    operations = _operations(document, handlers)

    def resolve(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = schema.get("$ref")
        resolved: Mapping[str, Any] = (
            document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
        )
        return resolved

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
        security_map={"bearer": _security(prove)},
        strict_validation=True,
    )
    middleware.apis.append(API(OwnDocument(document), base_path=None, **vars(middleware.options)))
    # Built now instead of at the first request, so that a bad document stops the start.
    middleware.app, middleware.middleware_stack = middleware._build_middleware_stack()
    for layer in middleware.middleware_stack:
        if isinstance(layer, RoutingMiddleware):
            _without_redirects(layer.router)
    all_of = [
        (path, method, item[method]) for path, item in document["paths"].items() for method in _METHODS & set(item)
    ]
    oauth = frozenset(path for path, _, operation in all_of if operation.get("x-lgsp-errors") == "oauth")
    limits = {path: int(each["x-lgsp-body-limit"]) for path, _, each in all_of if "x-lgsp-body-limit" in each}
    streamed = [(method.upper(), path.split("/")) for path, method, each in all_of if each.get("x-lgsp-streamed")]
    media = [(method.upper(), path.split("/"), ", ".join(each["requestBody"]["content"]))
             for path, method, each in all_of if "requestBody" in each]  # fmt: skip
    return ApiApp(middleware, services, oauth, limits, streamed, media)


def _operations(document: Mapping[str, Any], handlers: Mapping[str, Handler]) -> dict[str, dict[str, Any]]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    operations: dict[str, dict[str, Any]] = {}
    for address, item in document["paths"].items():
        for method in _METHODS & set(item):
            operation = item[method]
            name = operation.get("operationId", "")
            where = f"{method.upper()} {address}"
            if name not in handlers or name in operations:
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
            operations[name] = operation
    return operations


def _without_redirects(router: Router) -> None:
    router.redirect_slashes = False
    for route in router.routes:
        if isinstance(route, Mount) and isinstance(route.app, Router):
            _without_redirects(route.app)


def _security(prove: Prove) -> type:
    class Proven:
        """Handler of the scheme `bearer`. Of a system it demands channel, token and signature together."""

        def get_fn(self, security_scheme: Any, required_scopes: Any) -> Any:
            async def verify(request: Any) -> dict[str, Any]:
                scope = request.scope
                api_call: _ApiCall = scope[_API_CALL]
                operation = scope["extensions"][_ROUTING]["operation_id"]
                api_call.proven = await prove(api_call.call, scope[RECEIVED], operation)
                return {"sub": operation}  # connexion wants to have something; nobody reads it

            return verify

    return Proven


@dataclass(slots=True)
class _ApiCall:
    """One call inside connexion, which copies the scope: all copies refer to this."""

    call: Call
    proven: Any = None  # set by the security handler: a `Caller`, or a person
    reply: Reply | None = None

    @property
    def caller(self) -> Caller | None:
        return self.proven if isinstance(self.proven, Caller) else None


class _Inner:
    """Behind connexion: refuses a request without routing, or without the proof that its operation demands."""

    def __init__(self, services: Common, handlers: Mapping[str, Handler], proven: frozenset[str]) -> None:
        self._services = services
        self._handlers = handlers
        self._proven = proven

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received: Received = scope[RECEIVED]
        name = scope.get("extensions", {}).get(_ROUTING, {}).get("operation_id")
        handler = self._handlers.get(name) if name else None
        if handler is None:
            catalogue = read_on(self._services.settings)
            raise ADDRESS_UNKNOWN(method=received.method, path=received.path, catalogue=catalogue)
        api_call: _ApiCall = scope[_API_CALL]
        caller = api_call.caller
        if api_call.proven is None and name in self._proven:
            raise GATEWAY_FAULT(transfer=received.transfer)
        request = ApiRequest(
            call=api_call.call,
            received=received,
            params=scope.get(PARAMS, {}),
            form=scope.get(FORM_DATA, {}),
            caller=caller,
            json=scope.get(JSON_DATA),
            person=None if caller is not None else api_call.proven,
        )
        reply = await handler(self._services, request)
        for header, value in _SHOWN.items():
            reply.headers.setdefault(header, value)
        if caller is not None:
            reply = self._services.sign(received, reply)
        api_call.reply = reply


class ApiApp:
    """An `Application`: passes each call through connexion and turns its exceptions into failures."""

    def __init__(
        self,
        app: Any,
        services: Common,
        oauth: frozenset[str],
        limits: Mapping[str, int],
        streamed: Sequence[tuple[str, list[str]]] = (),
        media: Sequence[tuple[str, list[str], str]] = (),
    ) -> None:
        """`streamed`: method and path, in parts, of those whose handlers read the body of a proven caller. `media`:
        of those with a body, and the media types that each takes."""
        self._media = media
        self._streamed = streamed
        self._app = app
        self._services = services
        self._oauth = oauth
        self._limits = [(path.split("/"), limit) for path, limit in limits.items()]

    async def answer(self, call: Call) -> Reply:
        call.read_head()
        if brings_body(call.headers) and call.shell.budgets is not None:
            call.channel()
        parts = call.path.split("/")
        if not any(call.method == method and _same(names, parts) for method, names in self._streamed):
            await call.read(min(self._limit(call.path), self._services.settings.body_limit))
        if call.turn is not None:
            call.turn.spend(estimate(call.body))
            call.turn.end()
        if call.certificate is not None:
            with suppress(Failure):  # who has to be known is refused later
                call.channel()  # by whose clock it is judged
        received, api_call = call.received(Face.REST), _ApiCall(call)
        scope = dict(call.scope)
        # A copy: connexion writes into it, and a server may share one between requests.
        scope["extensions"] = {
            name: value for name, value in scope.get("extensions", {}).items() if not name.startswith("connexion")
        }
        scope["path_params"] = {}
        scope[RECEIVED], scope[_API_CALL] = received, api_call
        try:
            await self._app(scope, _replayed(call.body), _unsent)
        except Exception as trouble:
            call.scope[_CALLER] = api_call.caller
            failure = self._failure(trouble, received)
            if failure is None:
                raise
            raise failure from None
        if api_call.reply is None:
            raise LookupError("connexion answered nothing")
        return api_call.reply

    def _taken(self, method: str, parts: list[str]) -> str:
        """The media types of an operation, as its document has them."""
        return next((types for of, names, types in self._media if of == method and _same(names, parts)), "–")

    def _limit(self, path: str) -> int:
        """Of a body, in bytes; `{…}` in a document's path stands for any part."""
        parts = path.split("/")
        for names, limit in self._limits:
            if _same(names, parts):
                return limit
        return BODY_LIMIT

    async def refuse(self, call: Call, failure: Failure) -> Reply:
        reply = await self._services.refuse(call.received(Face.REST), failure, call.scope.get(_CALLER))
        return tokens.as_oauth(failure, reply) if call.path in self._oauth else reply

    def unlogged(self, scope: Scope, failure: Failure) -> Reply:
        return Reply(*problems.render(failure, transfer=None, accept_language=None))

    def _failure(self, trouble: Exception, received: Received) -> Failure | None:
        """None for an unexpected exception."""
        if isinstance(trouble, Failure):
            return trouble
        if isinstance(trouble, HTTPException) and trouble.status_code == 405:
            allowed = (trouble.headers or {}).get("Allow", "GET")
            return ADDRESS_METHOD(method=received.method, path=received.path, allowed=allowed)
        if isinstance(trouble, HTTPException | ProblemException):
            status = trouble.status_code if isinstance(trouble, HTTPException) else trouble.status
            if status == 415:
                expected = self._taken(received.method, received.path.split("/"))
                return BODY_MEDIA_TYPE(got=received.headers.get("content-type", "—")[:80], expected=expected)
            if 400 <= status < 500:
                catalogue = read_on(self._services.settings)
                return ADDRESS_UNKNOWN(method=received.method, path=received.path, catalogue=catalogue)
        return None


def _same(names: list[str], parts: list[str]) -> bool:
    return len(names) == len(parts) and all(map(_fits, names, parts))


def _fits(name: str, part: str) -> bool:
    return name == part or name.startswith("{")


def _replayed(body: bytes) -> Receive:
    """Sends the complete body once, then a disconnect."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _unsent(message: Any) -> None:
    raise LookupError("connexion sent an answer of its own")
