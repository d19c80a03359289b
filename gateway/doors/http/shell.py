"""Serves the requests of one listener: the HTTP part that the exchange and the gateway's own APIs share.

An `Application` gets a `Call` and returns a `Reply`, or raises. This module handles limits, body budgets, ids, the
register of current calls, unexpected faults, draining and sending.
Invariant: a request has an id and is registered before anything of it is read.
Invariant: each failure becomes a reply in the caller's protocol, logged if the listener has a log. An unexpected fault
  becomes `gateway.fault`; only the process's log gets the trace.
Invariant: a body is read once, within its limits. If certificates identify callers, no body is read without a valid
  one.
Invariant: a caller is identified once for each registry snapshot that judges its call: at arrival, and again if the
  body came slowly. So a slow sender does not outlive a suspension.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from contracts.wire.headers import TENANT_TIME
from gateway.doors.health import Health
from gateway.doors.http.body import (
    LATE,
    Gone,
    Receive,
    Scope,
    Send,
    Spooling,
    brings_body,
    expects_large,
    headers_of,
    read_body,
    spool_body,
    target_uri,
)
from gateway.doors.http.channel import identify
from gateway.doors.http.costs import Budgets, Turn, is_costly
from gateway.doors.http.errors import LIMIT_COST
from gateway.doors.http.limits import Limits
from gateway.doors.http.streaming import send_stream
from gateway.doors.http.taken_up import TAKEN_AT, TRANSFER, TakenUp
from gateway.doors.reply import Reply
from gateway.errors import GATEWAY_FAULT
from gateway.journal.limits import unavailable
from gateway.machines.errors import MACHINE_DRAINING
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.signals import traces
from gateway.transfer.large_body import LargeBody
from gateway.transfer.stages import Channel, Face, Received

_REFUSED: Final = "lgsp.refused"  # in the scope of malformed input: the failure
_log: Final = logging.getLogger("lgsp.door")


class Application(Protocol):
    """The application of a listener."""

    async def answer(self, call: Call) -> Reply:
        """May raise any exception, which is refused."""
        ...

    async def refuse(self, call: Call, failure: Failure) -> Reply:
        """Logs the refusal, then renders it."""
        ...

    def unlogged(self, scope: Scope, failure: Failure) -> Reply:
        """The reply if there is no transfer, no registry and no log."""
        ...


@dataclass(slots=True)
class Call:
    """One request. `snapshot` is the registry that judges it. `body` is empty until it is read."""

    scope: Scope
    receive: Receive
    shell: Shell
    app: Application  # renders the answers
    snapshot: Snapshot
    certificate: bytes | None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    large: LargeBody | None = None  # a spooled body; then `body` is empty
    turn: Turn | None = None  # of a costly body; ends when the body has been read
    _channel: Channel | None = None

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def transfer(self) -> str:
        return str(self.scope[TRANSFER])

    @property
    def source(self) -> str:
        peer = self.scope.get("client")
        return str(peer[0]) if peer else ""

    def channel(self) -> Channel:
        """The registered system of the connection. Raises `Theirs` or `Policy` if none is in force."""
        if self._channel is None:
            self._channel = identify(self.certificate, self.snapshot, self.scope[TAKEN_AT])
            traces.named(self._channel.system.id)
        return self._channel

    def read_head(self) -> None:
        self.headers = headers_of(self.scope)

    async def read(self, limit: int, spooling: Spooling | None = None) -> None:
        """Reads the whole body, a large one within its agency's budget. `spooling`: longer ones are spooled."""
        budgets, seconds = self.shell.budgets, self.shell.body_seconds
        if budgets is None or not brings_body(self.headers):
            self.body = await read_body(self.receive, self.headers, limit=limit, seconds=seconds)
        elif spooling is not None and expects_large(self.headers, limit):
            agency = self.channel().system.agency
            admit = partial(budgets.admit, agency)
            body = await spool_body(
                self.receive, self.headers, into=spooling, limit=limit, owner=agency, seconds=seconds, admit=admit
            )
            if isinstance(body, bytes):
                self.body = body
            else:
                self.large = body
            if self.large is not None or is_costly(self.body):
                self.turn = await budgets.begin(agency)
        else:
            agency = self.channel().system.agency
            self.body = await read_body(
                self.receive, self.headers, limit=limit, seconds=seconds, admit=partial(budgets.admit, agency)
            )
            if is_costly(self.body):
                self.turn = await budgets.begin(agency)
        newest = self.shell.registry.snapshot
        if newest is not self.snapshot:
            self.snapshot, self._channel = newest, None

    def received(self, face: Face) -> Received:
        scope = self.scope
        return Received(
            transfer=scope[TRANSFER],
            at=scope[TAKEN_AT],
            face=face,
            method=scope["method"],
            path=scope["path"],
            target_uri=target_uri(scope, self.shell.base),
            query=scope["query_string"].decode("latin-1"),
            headers=self.headers,
            body=self.body,
            certificate=self.certificate,
            source=self.source,
            snapshot=self.snapshot,
            large=self.large,
            ahead=self.ahead,
        )

    @property
    def ahead(self) -> int:
        """Seconds by which the caller's clock is ahead; 0 before it is known who calls."""
        return 0 if self._channel is None else self._channel.system.ahead


@dataclass(slots=True)
class Shell:
    """ASGI. `draining` makes every answer close its connection."""

    app: Application
    registry: Registry
    base: str
    body_seconds: float
    clock: Callable[[], float]
    health: Health | None = None
    limits: Limits | None = None  # None: a listener for people
    budgets: Budgets | None = None  # None: callers are not known by certificates
    leaving: Callable[[], bool] = lambda: False  # whether this machine takes no new calls
    draining: bool = False
    taken: TakenUp = field(default_factory=TakenUp)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        slot = self.taken.enter(scope, self.clock())
        traces.enter_call(scope[TRANSFER], scope["headers"])
        try:
            reply = await self._reply(scope, receive)
        except Gone:
            return
        finally:
            self.taken.leave(slot)
        if reply.parts is None:
            await send_reply(reply, scope, send, close=self.draining)
        else:
            await send_stream(reply, scope, receive, send)

    async def refusing(self, failure: Failure, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses malformed input in the protocol of its address, and logs it."""
        await self({**scope, _REFUSED: failure}, receive, send)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        try:
            try:
                snapshot = self.registry.snapshot
            except Failure as failure:  # without the registry, the caller is unknown and nothing can be logged
                reply = await self._healthy(scope)
                return reply if reply is not None else self.app.unlogged(scope, failure)
            certificate = scope.get("extensions", {}).get("tls", {}).get("client_cert_der")
            return await self._served(
                Call(scope=scope, receive=receive, shell=self, app=self.app, snapshot=snapshot, certificate=certificate)
            )
        except Gone:
            raise
        except Exception as trouble:  # a caller always gets a document with a code
            away = unavailable(trouble)
            if away is None:
                _log.exception("%s: unexpected fault", scope["method"])
            return self.app.unlogged(scope, away or GATEWAY_FAULT(transfer="–"))

    async def _served(self, call: Call) -> Reply:
        refused: Failure | None = call.scope.get(_REFUSED)
        if refused is not None:
            return await self._refuse(call, refused)
        if self.limits is None:
            return await self._answer(call)
        try:
            place = self.limits.enter(call.certificate, call.source, call.snapshot, self.clock())
        except Failure as failure:
            return await self._refuse(call, failure)
        try:
            return await self._answer(call)
        finally:
            self.limits.leave(place)

    async def _answer(self, call: Call) -> Reply:
        reply = await self._answered(call)
        if call.ahead:
            reply.headers[TENANT_TIME] = rfc3339(self.clock() + call.ahead)
        return reply

    async def _answered(self, call: Call) -> Reply:
        try:
            healthy = await self._healthy(call.scope)
            if healthy is not None:
                return healthy
            if self.leaving():  # not logged: the caller goes to another machine
                return self._elsewhere(call)
            return await self.app.answer(call)
        except Gone:
            raise
        except Failure as failure:
            return await self._refuse(call, failure)
        except Exception as trouble:
            away = unavailable(trouble)
            if away is None:
                _log.exception("transfer %s: unexpected fault", call.transfer)
            return await self._refuse(call, away or GATEWAY_FAULT(transfer=call.transfer))
        finally:
            if call.turn is not None:
                call.turn.end()
            if call.large is not None:
                call.large.close()

    async def _refuse(self, call: Call, failure: Failure) -> Reply:
        if not call.headers:
            try:
                call.read_head()
            except Failure:  # the first failure counts
                pass
        reply = await call.app.refuse(call, failure)
        if failure.status == LATE or failure.code == LIMIT_COST.code:  # the rest of the body is not read
            reply.headers["connection"] = "close"
        return reply

    def _elsewhere(self, call: Call) -> Reply:
        reply = self.app.unlogged(call.scope, MACHINE_DRAINING(retry_after=1))
        reply.headers["connection"] = "close"
        return reply

    async def _healthy(self, scope: Scope) -> Reply | None:
        return await self.health.reply(scope) if self.health is not None else None


async def send_reply(reply: Reply, scope: Scope, send: Send, *, close: bool = False) -> None:
    """Sends a reply. `close` ends the connection."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.status != 304:  # RFC 9110 §8.6
        headers.append((b"content-length", str(len(reply.body)).encode("ascii")))
    if close and "connection" not in reply.headers:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})
