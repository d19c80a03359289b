"""The application of the exchange listener: one look-up sends a request to a door, a document, or the gateway's own APIs.

What is known of a request before its body is read: its address and its operation. Whatever fails from there on is refused through the
exchange, so that it is logged, and rendered by the door that was addressed, so that the caller hears it in its own protocol.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import gateway.doors.failures  # noqa: F401  registers the codes raised here
from contracts.base.errors import Failure, Ours, Theirs
from contracts.canonical.model import Operation
from contracts.compiled.contract import CompiledContract
from contracts.wire import problems
from gateway.doors import documents
from gateway.doors.health import PATHS
from gateway.doors.http.body import LATE, Gone, Receive, Scope, Send, headers_of, read_body, target_uri
from gateway.doors.http.channel import identify
from gateway.doors.http.costly import Reading, Readings
from gateway.doors.http.costs import BUDGETS, Budgets, is_costly
from gateway.doors.http.limits import Limits
from gateway.doors.http.taken_up import TAKEN_AT, TRANSFER, TakenUp
from gateway.doors.reply import Reply
from gateway.doors.rest import RestDoor
from gateway.doors.soap import SoapDoor
from gateway.exchange.exchange import Exchange
from gateway.exchange.stages import Addressed, Face, Received
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot

log = logging.getLogger("lgsp.door")
SOAP_PREFIX: Final = "/soap/"
_ALWAYS: Final = ("/healthz", "/readyz", "/metrics", "/keys", "/ca/")
_READINGS: Final = ("/audit/tile/entries/", "/audit/proof/")  # of the log: by systems that prove themselves
_REFUSED: Final = "lgsp.refused"  # in the scope of what is no request: why
T = TypeVar("T")
Asgi = Callable[[Scope, Receive, Send], Any]


@dataclass(slots=True)
class ExchangeApp:
    """ASGI. `draining` makes every answer close its connection."""

    registry: Registry
    exchange: Exchange
    rest: RestDoor
    soap: SoapDoor
    apis: Asgi
    base: str
    body_limit: int
    body_seconds: float
    clock: Callable[[], float]
    limits: Limits
    budgets: Budgets = field(default_factory=lambda: Budgets(1.0))
    readings: Readings | None = None  # None: costly bodies are read on the event loop
    draining: bool = False
    taken: TakenUp = field(default_factory=TakenUp)
    _maker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "documents"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        slot = self.taken.enter(scope, self.clock())
        try:
            reply = await self._reply(scope, receive, send)
        except Gone:
            return
        except Exception:  # whatever nobody below foresaw: a caller always gets a document with a code
            log.exception("%s: unexpected fault", scope["method"])
            reply = self._unlogged(Ours("gateway.fault", transfer="–"), scope)
        finally:
            self.taken.leave(slot)
        if reply is not None:
            await self._send(reply, send)

    async def refusing(self, failure: Failure, scope: Scope, receive: Receive, send: Send) -> None:
        """Of what is no request: logged, and told in the protocol of its address, as far as it had one."""
        await self({**scope, _REFUSED: failure}, receive, send)

    async def _reply(self, scope: Scope, receive: Receive, send: Send) -> Reply | None:
        path: str = scope["path"]
        try:
            snapshot = self.registry.snapshot
        except Failure as failure:  # who asks cannot be known, nor can it be logged: the database is not to be read
            if path in PATHS:  # whether this process lives is no matter of the registry
                await self.apis(scope, receive, send)
                return None
            return self._unlogged(failure, scope)
        refused: Failure | None = scope.get(_REFUSED)
        if refused is not None:
            face = Face.SOAP if path.startswith(SOAP_PREFIX) else Face.REST
            return await self._carry(scope, receive, face, snapshot, None, None, refused)
        if snapshot.held_until and (held := self._held(snapshot, path)) is not None:
            face = Face.SOAP if path.startswith(SOAP_PREFIX) else Face.REST
            return await self._carry(scope, receive, face, snapshot, None, None, held)
        try:
            place = self.limits.enter(_certificate(scope), _source(scope), snapshot, self.clock())
        except Failure as failure:
            face = Face.SOAP if path.startswith(SOAP_PREFIX) else Face.REST
            return await self._carry(scope, receive, face, snapshot, None, None, failure)
        try:
            return await self._addressed(scope, receive, send, snapshot)
        finally:
            self.limits.leave(place)

    async def _addressed(self, scope: Scope, receive: Receive, send: Send, snapshot: Snapshot) -> Reply | None:
        path, method = scope["path"], scope["method"]
        if path.startswith(SOAP_PREFIX):
            contract, _ = self._target(Face.SOAP, scope, snapshot)
            if method == "GET":
                found = await self._made(documents.soap_document, contract, scope["query_string"], self.base + path)
                if found is not None:
                    return found
            return await self._carry(scope, receive, Face.SOAP, snapshot, contract, None)
        contract, operation = self._target(Face.REST, scope, snapshot)
        if contract is not None:
            return await self._carry(scope, receive, Face.REST, snapshot, contract, operation)
        if documents.is_document(path):
            return await self._made(documents.document, snapshot, scope, self.base)
        if snapshot.names_contract(path):
            return await self._carry(scope, receive, Face.REST, snapshot, None, None)
        if self.draining:
            send = _closing(send)
        scope[BUDGETS] = self.budgets
        await self.apis(scope, receive, send)
        return None

    def _held(self, snapshot: Snapshot, path: str) -> Failure | None:
        """Of a restored instance: what is open to everybody stays so, that the break in the log can be seen; nothing else is answered yet."""
        if (
            path.startswith(_ALWAYS)
            or path.startswith("/audit/")
            and not path.startswith(_READINGS)
            or documents.is_document(path)
        ):
            return None
        left = snapshot.held_until - self.clock()
        return Ours("gateway.restored", retry_after=math.ceil(min(60.0, left))) if left > 0 else None

    def _target(self, face: Face, scope: Scope, snapshot: Snapshot) -> tuple[CompiledContract | None, Operation | None]:
        """What an address means; of REST with the operation, which SOAP's body says."""
        if face is Face.SOAP:
            return snapshot.contract(scope["path"].removeprefix(SOAP_PREFIX)), None
        return snapshot.rest_operation(scope["method"], scope["path"]) or (None, None)

    async def _made(self, make: Callable[..., T], *of: Any) -> T:
        """A document, in a thread of its own: the first one after a contract is published takes half a second, and no call waits for it."""
        return await asyncio.get_running_loop().run_in_executor(self._maker, make, *of)

    async def _carry(
        self,
        scope: Scope,
        receive: Receive,
        face: Face,
        snapshot: Snapshot,
        contract: CompiledContract | None,
        operation: Operation | None,
        early: Failure | None = None,
    ) -> Reply:
        """`early`: why it is refused before anything of it is looked at. Nobody sends a body to nowhere, or without a certificate in force."""
        door = self.soap if face is Face.SOAP else self.rest
        at, certificate = scope[TAKEN_AT], _certificate(scope)
        headers: dict[str, str] = {}
        body = b""
        reading: Reading | None = None
        try:
            headers = headers_of(scope)
            if early is None:
                if contract is None or operation is None and (face is Face.REST or scope["method"] != "POST"):
                    raise self._misaddressed(face, scope, snapshot)
                channel = identify(certificate, snapshot, at)
                admit = partial(self.budgets.admit, channel.system.agency)
                body = await read_body(receive, headers, limit=self.body_limit, seconds=self.body_seconds, admit=admit)
                reading = await self._reading(channel.system.agency, body, door)
                if (
                    newest := self.registry.snapshot
                ) is not snapshot:  # else whoever sends slowly outlives a suspension
                    snapshot = newest
                    contract, operation = self._target(face, scope, snapshot)
                    if contract is None:
                        raise self._misaddressed(face, scope, snapshot)
        except Failure as failure:
            early = early or failure
        received = Received(
            transfer=scope[TRANSFER],
            at=at,
            face=face,
            method=scope["method"],
            path=scope["path"],
            target_uri=target_uri(scope, self.base),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
            certificate=certificate,
            source=_source(scope),
        )
        try:
            if early is not None or contract is None:
                assert early is not None
                reply = door.render(await self.exchange.refuse(received, snapshot, early))
                if early.status == LATE or early.code == "limit.cost":  # what is still to come of it is not waited for
                    reply.headers["connection"] = "close"
                return reply
            return door.render(
                await self.exchange.carry(Addressed(received, snapshot, contract, operation), door, reading)
            )
        except Exception:
            # A mistake of ours: the caller gets a code, the log of the process the trace, and neither gets the message.
            log.exception("transfer %s: unexpected fault", received.transfer)
            fault = Ours("gateway.fault", transfer=received.transfer)
            return door.render(await self.exchange.refuse(received, snapshot, fault))
        finally:
            if reading is not None:
                reading.end()

    async def _reading(self, agency: str, body: bytes, door: RestDoor | SoapDoor) -> Reading | None:
        """The turn of a costly body; None for all others, which are read at once. Here a body is complete, and nothing of it was looked at."""
        if self.readings is None or not is_costly(body):
            return None
        return Reading(self.readings, await self.budgets.begin(agency), door)

    def _unlogged(self, failure: Failure, scope: Scope) -> Reply:
        """A failure of ours so deep that there is no transfer yet, in the caller's own protocol."""
        if scope["path"].startswith(SOAP_PREFIX):
            sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            return self.soap.unproven(failure, "", sent)
        return Reply(*problems.render(failure, transfer=None, accept_language=None))

    def _misaddressed(self, face: Face, scope: Scope, snapshot: Snapshot) -> Failure:
        method, path = scope["method"], scope["path"]
        if face is Face.SOAP:
            known = snapshot.contract(path.removeprefix(SOAP_PREFIX)) is not None
            allowed = ["GET ?wsdl", "GET ?xsd", "POST"] if known else []
        else:
            allowed = sorted(snapshot.rest_methods(path))
        if allowed:
            return Theirs("address.method", method=method, path=path, allowed=", ".join(allowed))
        return Theirs("address.unknown", method=method, path=path, catalogue=f"{self.base}/contracts")

    async def _send(self, reply: Reply, send: Send) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
        headers.append((b"content-length", str(len(reply.body)).encode("ascii")))
        if self.draining and "connection" not in reply.headers:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})


def _certificate(scope: Scope) -> bytes | None:
    found: bytes | None = scope["extensions"].get("tls", {}).get("client_cert_der")
    return found


def _source(scope: Scope) -> str:
    peer = scope.get("client")
    return str(peer[0]) if peer else ""


def _closing(send: Send) -> Send:
    async def closing(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return closing
