"""One simulated system: by REST and by SOAP it answers for every contract of the instance.

The checks of a provider are those of the hand-written stand-ins (`rest_base`, `soap_base`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from contracts.base.errors import Failure
from contracts.wire.soap import parse_xml
from gateway.registry.tenants import is_tenant
from gateway.sample_client.wssec import Element, canonical
from gateway.sandbox.simulation.answers import Answers, NoAnswer
from gateway.sandbox.simulation.memory import Memory
from gateway.sandbox.simulation.misspelling import misspelt
from gateway.sandbox.simulation.places import Address, Place
from gateway.sandbox.simulation.published import Contracts
from gateway.sandbox.standins.base import Call
from gateway.sandbox.standins.rest_base import Refused, RestStandIn
from gateway.sandbox.standins.soap_base import NotTaken, SoapStandIn
from gateway.sandbox.standins.spoiling import json_of_wrong_type, xml_of_wrong_type


@dataclass(slots=True)
class SpeakingRest(RestStandIn):
    """Any operation of any contract, in JSON."""

    published: Callable[[], Contracts] = dict
    answers: Answers = field(default_factory=lambda: Answers(Memory()))

    def encrypts(self, call: Call) -> bool:
        return any(place.encrypted for place in self._places(call))

    def perform(self, call: Call, asked: bytes, number: int) -> bytes:
        place, message = self._read(call, asked)
        try:
            answer = self.answers.answer(place, message, number, "json", whose(call))
        except NoAnswer as none:
            raise Refused(501, self.error("NO_ANSWER", str(none))) from none
        return place.codec.write_json(place.operation.answer, answer)

    def misspelt(self, call: Call, body: bytes) -> bytes:
        for place in self._places(call):
            done = misspelt(place, body, "json")
            if done is not None:
                return done
        return json_of_wrong_type(body)

    def _places(self, call: Call) -> list[Place]:
        return list(Address.read(call.path, self.published()).by_rest(call.method))

    def _read(self, call: Call, asked: bytes) -> tuple[Place, dict[str, Any]]:
        """The first operation of this address that reads the message."""
        places, wrong = self._places(call), None
        for place in places:
            request = place.operation.request
            try:
                if call.method == "GET":
                    return place, place.codec.read_query(request, urlsplit(call.target).query)
                return place, place.codec.read_json(request, asked)
            except Failure as failure:
                wrong = wrong or failure
        if wrong is None:
            raise Refused(404, self.error("NOT_FOUND", f"{call.method} {call.path}"))
        raise Refused(400, self.error("BAD_REQUEST", told(wrong)))


@dataclass(slots=True)
class SpeakingSoap(SoapStandIn):
    """Any operation of any contract, in XML."""

    published: Callable[[], Contracts] = dict
    answers: Answers = field(default_factory=lambda: Answers(Memory()))

    def encrypts(self, call: Call, action: str) -> bool | None:
        kinds = {place.encrypted for place in self._places(call, action)}
        return kinds.pop() if len(kinds) == 1 else None

    def take_in(self, call: Call, content: Element, action: str, number: int) -> bytes:
        place, message = self._read(call, content, action)
        try:
            answer = self.answers.answer(place, message, number, "xml", whose(call))
        except NoAnswer as none:
            raise NotTaken(str(none)) from none
        operation = place.operation
        return place.codec.write_xml(operation.answer, answer, f"{operation.name}Response")

    def misspelt(self, call: Call, body: bytes) -> bytes:
        address = Address.read(call.path, self.published())
        for place in _answering(address, body):
            done = misspelt(place, body, "xml")
            if done is not None:
                return done
        return xml_of_wrong_type(body)

    def _places(self, call: Call, action: str) -> list[Place]:
        address = Address.read(call.path, self.published())
        return list(address.by_soap(action)) if address.rest == "/" else []

    def _read(self, call: Call, content: Element, action: str) -> tuple[Place, dict[str, Any]]:
        wrong: Failure | None = None
        element = parse_xml(canonical(content))
        for place in self._places(call, action):
            try:
                return place, place.codec.read_xml(place.operation.request, element)
            except Failure as failure:
                wrong = wrong or failure
        raise NotTaken(f"no operation {action} at {call.path}" if wrong is None else told(wrong))


def _answering(address: Address, body: bytes) -> Iterator[Place]:
    """The operations that this element answers."""
    element = parse_xml(body)
    for compiled in address.contracts:
        for name, codec in compiled.formats.items():
            meant = codec.soap_body(element, answer=True) if "xml" in codec.speaks else None
            if address.format_name in (None, name) and meant is not None:
                yield Place(compiled, codec, compiled.contract.operations[meant[0]])


def whose(call: Call) -> str:
    """The tenant whose call it is, as the gateway signed it; empty for a caller of the province."""
    agency = call.headers.get("lgsp-caller", "").partition("/")[0]
    return agency if is_tenant(agency) else ""


def told(failure: Failure) -> str:
    """What is wrong with a message, for the log of whoever sent it."""
    found = "; ".join(f"{each.canonical or each.here or '/'}: {each.rule}" for each in list(failure.findings)[:5])
    return f"{failure.code} {found}".strip()
