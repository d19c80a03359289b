"""What an operation of the management API is: a block of `openapi/management.yaml`, and a function here.

    block: operationId, `security: [{person: []}]`, `x-lgsp-may`, parameters, body, answers
    function: from an `Asked` to a value for JSON, or a `Reply`; it runs in a thread

A person calls it with a token of his account. The token has his roles of this moment.
Invariant: the token and the permission are checked in `prover`, before parameters and body are looked at.
Invariant: a token never approves, and makes no token. An approval needs the officer's own key or passkey, and tokens
  are made by a session or at the host.
Invariant: no cookie is looked at, so no page of another site can use somebody's session here. The one exception is a
  feed, which a browser follows at an address of the pages: the application hands its session over (SESSION), for
  requests of this site that only read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.console.accounts import sessions
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORBIDDEN, LOGIN_NEEDED
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.console.site.page import checked_reason
from gateway.doors.api.apis import BadDocument
from gateway.doors.api.services import ApiRequest, DeskServices, Handler, Prove
from gateway.doors.http.shell import Call
from gateway.doors.reply import Reply
from gateway.transfer.stages import Received

SCHEME: Final = "person"
MAY: Final = "x-lgsp-may"
SESSION: Final = "lgsp.session"  # in the scope: the token of a session at the pages
_LONGEST: Final = 200  # characters of `authorization`
_JSON: Final = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked call. `params` and `body` are as the document demands them."""

    desk: Desk
    viewer: Viewer
    params: Mapping[str, Any]
    body: Any
    source: str
    now: float
    accept: str = ""  # the media types that are accepted
    still: Callable[[], Viewer | None] = lambda: None  # who has the same token or session now; it runs in a thread

    def reason(self) -> str:
        """The reason of an act, the body's `reason`. Raises `console.reason`."""
        return checked_reason(str(self.body.get("reason", "")))


Operation = Callable[[Asked], Any]


def both(words: Words) -> dict[str, str]:
    """A text in both languages."""
    return {"vi": words.vi, "en": words.en}


def when(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)


def permissions(document: Mapping[str, Any]) -> dict[str, May]:
    """What each operation for persons needs, by its id. Raises `BadDocument`."""
    needed: dict[str, May] = {}
    for name, operation in _of_persons(document).items():
        try:
            needed[name] = May(operation.get(MAY, ""))
        except ValueError:
            raise BadDocument(f"{name}: `{MAY}` is none of {', '.join(May)}") from None
    return needed


def prover(desk: Desk, document: Mapping[str, Any]) -> Prove:
    """Says who calls, by his token. Raises `login.needed`, `console.forbidden`."""
    needed = permissions(document)

    async def prove(call: Call, received: Received, operation: str) -> Viewer:
        viewer = None
        if SESSION in call.scope or "authorization" in received.headers:
            owner = ApiRequest(call, received).owner
            viewer = await desk.services.readers.run(owner, _find, desk, call.scope.get(SESSION), received)
        if viewer is None:
            raise LOGIN_NEEDED()
        if (may := needed[operation]) not in viewer.account.may:
            raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may=may)
        if received.method != "GET":
            await desk.services.readers.run(("agency", viewer.account.agency), desk.spend, viewer)
        return viewer

    return prove


def _find(desk: Desk, session: str | None, received: Received) -> Viewer | None:
    """Who has this session, or the token of the request. It runs in a thread."""
    if session is not None:
        return desk.viewer(session, touch=False)
    given = received.headers.get("authorization", "")
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or len(given) > _LONGEST:
        return None
    with desk.accounts() as rows:
        return sessions.of_token(rows, token.strip(), desk.now())


def handlers(desk: Desk, document: Mapping[str, Any], operations: Mapping[str, Operation]) -> dict[str, Handler]:
    """The functions as handlers. Raises `BadDocument` for a function without its block."""
    known = _of_persons(document)
    if missing := set(operations) - set(known):
        raise BadDocument(f"no operation in the document for {', '.join(sorted(missing))}")
    return {name: _handler(desk, function, _success(known[name])) for name, function in operations.items()}


def _handler(desk: Desk, function: Operation, status: int) -> Handler:
    async def handle(services: DeskServices, request: ApiRequest) -> Reply:
        asked = Asked(
            desk=desk,
            viewer=request.person,
            params=request.params,
            body=request.json,
            source=request.received.source,
            now=desk.now(),
            accept=request.received.headers.get("accept", ""),
            still=partial(_find, desk, request.call.scope.get(SESSION), request.received),
        )
        value = await services.readers.run(request.owner, function, asked)
        if isinstance(value, Reply):
            return value
        if status == 204:
            return Reply(status, {}, b"")
        return Reply(status, dict(_JSON), json.dumps(value, ensure_ascii=False).encode())

    return handle


def _of_persons(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        operation["operationId"]: operation
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and any(SCHEME in need for need in operation.get("security", ()))
    }


def _success(operation: Mapping[str, Any]) -> int:
    """The one status of success that the document names."""
    (status,) = (int(each) for each in operation["responses"] if each.startswith("2"))
    return status
