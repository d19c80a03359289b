"""Serves the exchange listener: sends a request to a door, a document, or the gateway's own APIs.

Address and operation are known before the body is read. A later failure is refused through the exchange, so it is
logged. The addressed door renders it in the caller's protocol.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from contracts.base.errors import Failure
from contracts.canonical.model import Operation, Pattern
from contracts.compiled.contract import CompiledContract
from contracts.compiled.streaming import carries_files
from contracts.wire import problems
from gateway.doors.document_addresses import is_document, to_read
from gateway.doors.errors import ADDRESS_METHOD, ADDRESS_UNKNOWN
from gateway.doors.http.body import Scope, Spooling, read_body
from gateway.doors.http.channel import mark_of
from gateway.doors.http.costly import Reading, Readings
from gateway.doors.http.shell import Application, Call
from gateway.doors.reply import Reply
from gateway.doors.rest import RestDoor
from gateway.doors.soap import SoapDoor
from gateway.errors import GATEWAY_RESTORED
from gateway.exchange.exchange import Exchange
from gateway.machines import joining
from gateway.machines.joining import Joining
from gateway.registry.snapshot import Snapshot
from gateway.transfer.large_body import off_loop
from gateway.transfer.stages import Addressed, Answered, Face, Refused
from security.jose import GROWN

SOAP_PREFIX: Final = "/soap/"
_GROWN: Final = {Face.REST: GROWN, Face.SOAP: (4, 3)}  # bytes of an encrypted body for so many of its content
_ALWAYS: Final = ("/keys", "/ca/")
_READINGS: Final = ("/audit/tile/entries/", "/audit/proof/")  # of the log: for proven systems
T = TypeVar("T")
Record = Callable[[Answered | Refused, Reply, CompiledContract | None], None]


class _Target(NamedTuple):
    """The meaning of an address. `operation` is None for SOAP: the body names it."""

    contract: CompiledContract
    operation: Operation | None


class Trials(Protocol):
    """Answers calls on purpose as a vendor's software has to stand it (`gateway.sandbox.conformance.trial`)."""

    def answer(
        self, addressed: Addressed, door: RestDoor | SoapDoor, carry: Callable[[], Awaitable[Answered | Refused]]
    ) -> Coroutine[None, None, tuple[Answered | Refused, Reply]]: ...


@dataclass(slots=True)
class ExchangeApp:
    """An `Application`. `base` is the gateway's public address, `site` that of the people's listener if it is told."""

    exchange: Exchange
    rest: RestDoor
    soap: SoapDoor
    apis: Application
    base: str
    body_limit: int
    clock: Callable[[], float]
    readings: Readings | None = None  # None: costly bodies are read on the event loop
    spooling: Spooling | None = None  # None: no body may be over the limit
    record: Record | None = None  # a sandbox keeps how a vendor's call ended, by the contract that its address names
    trials: Trials | None = None  # of a sandbox
    site: str = ""
    joining: Joining | None = None  # of new machines
    _maker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "documents"))

    async def answer(self, call: Call) -> Reply:
        path, snapshot = call.path, call.snapshot
        if snapshot.held_until:
            self._check_restored(call)
        if path == joining.PATH and self.joining is not None:
            return await self._join(call, self.joining)
        target = _target(call)
        if path.startswith(SOAP_PREFIX):
            if call.method == "GET" and target is not None:
                reply = await self._build(_soap_document, target.contract, call.scope["query_string"], self.base + path)
                if reply is not None:
                    return reply
            return await self._transfer(call, target)
        if target is not None:
            return await self._transfer(call, target)
        if is_document(path):
            return await self._build(_document, snapshot, call.scope, self.base, self.site)
        if snapshot.names_contract(path):
            return await self._transfer(call, None)
        call.app = self.apis
        return await self.apis.answer(call)

    async def _join(self, call: Call, joining_here: Joining) -> Reply:
        """A machine that joins is no system: its certificate is known here alone."""
        call.read_head()
        if call.method not in joining.METHODS:
            raise ADDRESS_METHOD(method=call.method, path=call.path, allowed=", ".join(joining.METHODS))
        limit, seconds = joining.LARGEST, call.shell.body_seconds
        body = await read_body(call.receive, call.headers, limit=limit, seconds=seconds)
        mark = mark_of(call.certificate) if call.certificate else None
        answered = await joining_here.answer(call.method, mark, body)
        return Reply(answered.status, {"content-type": "application/json", "cache-control": "no-store"}, answered.body)

    async def refuse(self, call: Call, failure: Failure) -> Reply:
        face = _face(call.path)
        ended = await self.exchange.refusals.refuse(call.received(face), failure)
        return self._recorded(ended, self._door(face).render(ended), _target(call))

    def _recorded(self, ended: Answered | Refused, reply: Reply, target: _Target | None) -> Reply:
        if self.record is not None:
            self.record(ended, reply, None if target is None else target.contract)
        return reply

    def unlogged(self, scope: Scope, failure: Failure) -> Reply:
        if _face(scope["path"]) is Face.SOAP:
            sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            return self.soap.unproven(failure, "", sent)
        return Reply(*problems.render(failure, transfer=None, accept_language=None))

    async def _transfer(self, call: Call, target: _Target | None) -> Reply:
        """Refuses an unknown address, or a caller without a valid certificate, before it reads the body."""
        call.read_head()
        face, snapshot = _face(call.path), call.snapshot
        if target is None or target.operation is None and (face is Face.REST or call.method != "POST"):
            raise self._misaddressed(call)
        call.channel()
        await call.read(self.body_limit, self._spooling(target))
        if call.snapshot is not snapshot:
            target = _target(call)
            if target is None:
                raise self._misaddressed(call)
        addressed = Addressed(call.received(face), call.channel(), target.contract, target.operation)
        door = self._door(face)
        reading = (
            Reading(self.readings, call.turn, door) if self.readings is not None and call.turn is not None else None
        )
        if self.trials is not None:
            carry = partial(self.exchange.carry, addressed, door, reading)
            return self._recorded(*await self.trials.answer(addressed, door, carry), target)
        ended = await self.exchange.carry(addressed, door, reading)
        heavy = isinstance(ended, Answered) and ended.heavy
        return self._recorded(ended, await off_loop(heavy, door.render, ended), target)

    def _spooling(self, target: _Target) -> Spooling | None:
        """For bodies over the usual limit; None where none may be."""
        if self.spooling is None or not _takes_files(target):
            return None
        if target.contract.contract.protection == "signed":
            return self.spooling
        times, of = _GROWN[Face.SOAP if target.operation is None else Face.REST]
        return replace(self.spooling, limit=self.spooling.limit * times // of)

    def _door(self, face: Face) -> RestDoor | SoapDoor:
        return self.soap if face is Face.SOAP else self.rest

    def _check_restored(self, call: Call) -> None:
        """In a restored instance only the public documents are served, so that the break in the log can be seen."""
        path = call.path
        if (
            path.startswith(_ALWAYS)
            or path.startswith("/audit/")
            and not path.startswith(_READINGS)
            or is_document(path)
        ):
            return
        left = call.snapshot.held_until - self.clock()
        if left > 0:
            raise GATEWAY_RESTORED(retry_after=math.ceil(min(60.0, left)))

    async def _build(self, build: Callable[..., T], *of: Any) -> T:
        """Builds a document in a thread: the first one of a new contract takes half a second, and what makes it is
        loaded for it."""
        return await asyncio.get_running_loop().run_in_executor(self._maker, build, *of)

    def _misaddressed(self, call: Call) -> Failure:
        method, path = call.method, call.path
        if _face(path) is Face.SOAP:
            allowed = ["GET ?wsdl", "GET ?xsd", "POST"] if _target(call) is not None else []
        else:
            allowed = sorted(call.snapshot.rest_methods(path))
        if allowed:
            return ADDRESS_METHOD(method=method, path=path, allowed=", ".join(allowed))
        return ADDRESS_UNKNOWN(method=method, path=path, catalogue=to_read(self.base, self.site))


def _face(path: str) -> Face:
    return Face.SOAP if path.startswith(SOAP_PREFIX) else Face.REST


def _document(snapshot: Snapshot, scope: Scope, base: str, site: str) -> Reply:
    from gateway.doors.documents import Bases, document

    return document(snapshot, scope, Bases(base, base, site or None))


def _soap_document(contract: CompiledContract, query: bytes, address: str) -> Reply | None:
    from gateway.doors.documents import soap_document

    return soap_document(contract, query, address)


def _takes_files(target: _Target) -> bool:
    """Whether bodies may hold large files: sent on to a provider, and shown in no feed."""
    contract = target.contract.contract
    operations = contract.operations.values() if target.operation is None else (target.operation,)
    return any(
        each.pattern is Pattern.DISPATCH and not each.in_feed and carries_files(target.contract, each.request)
        for each in operations
    )


def _target(call: Call) -> _Target | None:
    path, snapshot = call.path, call.snapshot
    if _face(path) is Face.SOAP:
        contract = snapshot.contract(path.removeprefix(SOAP_PREFIX))
        return _Target(contract, None) if contract is not None else None
    target = snapshot.rest_operation(call.method, path)
    return _Target(*target) if target is not None else None
