"""Serves the exchange listener: one look-up sends a request to a door, a document, or the gateway's own APIs.

What is known of a request before its body is read: its address and its operation. Whatever fails from there on is
refused through the exchange, so that it is logged, and rendered by the door that was addressed, so that the caller
hears it in its own protocol.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from contracts.base.errors import Failure
from contracts.canonical.model import Operation
from contracts.compiled.contract import CompiledContract
from contracts.wire import problems
from gateway.doors import documents
from gateway.doors.errors import ADDRESS_METHOD, ADDRESS_UNKNOWN
from gateway.doors.http.body import Scope
from gateway.doors.http.costly import Reading, Readings
from gateway.doors.http.shell import Application, Call
from gateway.doors.reply import Reply
from gateway.doors.rest import RestDoor
from gateway.doors.soap import SoapDoor
from gateway.errors import GATEWAY_RESTORED
from gateway.exchange.exchange import Exchange
from gateway.transfer.stages import Addressed, Face

SOAP_PREFIX: Final = "/soap/"
_ALWAYS: Final = ("/keys", "/ca/")
_READINGS: Final = ("/audit/tile/entries/", "/audit/proof/")  # of the log: by systems that prove themselves
T = TypeVar("T")


class _Target(NamedTuple):
    """What an address means; of SOAP without the operation, which the body says."""

    contract: CompiledContract
    operation: Operation | None


@dataclass(slots=True)
class ExchangeApp:
    """An `Application`. `base` is the gateway's public address."""

    exchange: Exchange
    rest: RestDoor
    soap: SoapDoor
    apis: Application
    base: str
    body_limit: int
    clock: Callable[[], float]
    readings: Readings | None = None  # None: costly bodies are read on the event loop
    _maker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "documents"))

    async def answer(self, call: Call) -> Reply:
        path, snapshot = call.path, call.snapshot
        if snapshot.held_until:
            self._check_held(call)
        target = _target(call)
        if path.startswith(SOAP_PREFIX):
            if call.method == "GET" and target is not None:
                found = await self._made(
                    documents.soap_document, target.contract, call.scope["query_string"], self.base + path
                )
                if found is not None:
                    return found
            return await self._transfer(call, target)
        if target is not None:
            return await self._transfer(call, target)
        if documents.is_document(path):
            return await self._made(documents.document, snapshot, call.scope, self.base)
        if snapshot.names_contract(path):
            return await self._transfer(call, None)
        call.app = self.apis
        return await self.apis.answer(call)

    async def refuse(self, call: Call, failure: Failure) -> Reply:
        face = _face(call.path)
        return self._door(face).render(await self.exchange.refuse(call.received(face), failure))

    def unlogged(self, scope: Scope, failure: Failure) -> Reply:
        if _face(scope["path"]) is Face.SOAP:
            sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            return self.soap.unproven(failure, "", sent)
        return Reply(*problems.render(failure, transfer=None, accept_language=None))

    async def _transfer(self, call: Call, target: _Target | None) -> Reply:
        """Nobody sends a body to nowhere, or without a certificate in force."""
        call.read_head()
        face, snapshot = _face(call.path), call.snapshot
        if target is None or target.operation is None and (face is Face.REST or call.method != "POST"):
            raise self._misaddressed(call)
        call.channel()
        await call.read(self.body_limit)
        if call.snapshot is not snapshot:
            target = _target(call)
            if target is None:
                raise self._misaddressed(call)
        addressed = Addressed(call.received(face), call.channel(), target.contract, target.operation)
        door = self._door(face)
        reading = (
            Reading(self.readings, call.turn, door) if self.readings is not None and call.turn is not None else None
        )
        return door.render(await self.exchange.carry(addressed, door, reading))

    def _door(self, face: Face) -> RestDoor | SoapDoor:
        return self.soap if face is Face.SOAP else self.rest

    def _check_held(self, call: Call) -> None:
        """Of a restored instance: what is open to everybody stays so, that the break in the log can be seen; nothing
        else is answered yet.
        """
        path = call.path
        if (
            path.startswith(_ALWAYS)
            or path.startswith("/audit/")
            and not path.startswith(_READINGS)
            or documents.is_document(path)
        ):
            return
        left = call.snapshot.held_until - self.clock()
        if left > 0:
            raise GATEWAY_RESTORED(retry_after=math.ceil(min(60.0, left)))

    async def _made(self, make: Callable[..., T], *of: Any) -> T:
        """A document, in a thread of its own: the first one after a contract is published takes half a second, and no
        call waits for it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._maker, make, *of)

    def _misaddressed(self, call: Call) -> Failure:
        method, path = call.method, call.path
        if _face(path) is Face.SOAP:
            allowed = ["GET ?wsdl", "GET ?xsd", "POST"] if _target(call) is not None else []
        else:
            allowed = sorted(call.snapshot.rest_methods(path))
        if allowed:
            return ADDRESS_METHOD(method=method, path=path, allowed=", ".join(allowed))
        return ADDRESS_UNKNOWN(method=method, path=path, catalogue=f"{self.base}/contracts")


def _face(path: str) -> Face:
    return Face.SOAP if path.startswith(SOAP_PREFIX) else Face.REST


def _target(call: Call) -> _Target | None:
    path, snapshot = call.path, call.snapshot
    if _face(path) is Face.SOAP:
        contract = snapshot.contract(path.removeprefix(SOAP_PREFIX))
        return _Target(contract, None) if contract is not None else None
    found = snapshot.rest_operation(call.method, path)
    return _Target(*found) if found is not None else None
