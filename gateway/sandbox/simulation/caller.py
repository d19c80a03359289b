"""Calls out as a provider's own client would: any contract, in every format, by REST, SOAP or a dropped file.

    caller = Caller(Identity.load("lgsp-data/identities/camera"), published)
    told = caller.call("camera-event/v1", "submitEvent", "vms-json")

Without a message it makes one: a sample of the contract under a business key of its own, so that it is no repeat.
Signatures are those of the sample client, which shares no code with the gateway.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from contracts.base.errors import Failure
from contracts.canonical.model import Operation
from contracts.compiled.contract import Codec, CompiledContract
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sample_client.wssec import SOAP
from gateway.sandbox.simulation.answers import examples, samples
from gateway.sandbox.simulation.echoes import value_at, with_value
from gateway.sandbox.simulation.published import Contracts

Way = Literal["rest", "soap"]
_SHORTEST: Final = 8  # hexadecimal digits that make a key its own


class NoMessage(Exception):
    """The contract has no message that this format can express."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came back. `code` is the gateway's for a refusal; empty if the call was accepted or answered."""

    ok: bool
    status: int
    code: str
    transfer: str
    raw: bytes


@dataclass(slots=True)
class Caller:
    """One system's client. `drops`: the instance's folder of dropped files, for systems that only drop."""

    identity: Identity
    published: Callable[[], Contracts]
    chance: random.Random = field(default_factory=random.Random)
    drops: Path | None = None
    _rest: RestClient | None = field(init=False, default=None)
    _soap: dict[str, SoapClient] = field(init=False, default_factory=dict)

    def call(
        self,
        contract: str,
        operation: str,
        format_name: str = "canonical",
        way: Way | None = None,
        message: dict[str, Any] | None = None,
        *,
        message_id: str | None = None,
        fault: str = "",
        soap: str = SOAP,
    ) -> Told:
        """One call. `way`: REST for JSON and SOAP for XML, unless it is given. `fault`: for a simulated provider.

        NoMessage, or LookupError for a contract, operation or format that there is not.
        """
        compiled = self.published()[contract]
        asked, codec = compiled.contract.operations[operation], compiled.codec(format_name)
        way = way or ("rest" if "json" in codec.speaks else "soap")
        content = message if message is not None else self.message(compiled, asked, codec, way)
        if way == "rest":
            return self._by_rest(compiled, asked, codec, content, message_id, fault)
        return self._by_soap(compiled, asked, codec, content, message_id, fault, soap)

    def message(self, compiled: CompiledContract, operation: Operation, codec: Codec, way: Way) -> dict[str, Any]:
        """A sample under keys of its own, else a generated message. Raises NoMessage."""
        own = list(samples(compiled, operation.request))
        self.chance.shuffle(own)
        media = "json" if way == "rest" else "xml"
        for example in (*own, *examples(compiled, operation.request)):
            fresh = self.fresh(compiled, operation, example)
            with suppress(Failure):
                codec.write(operation.request, fresh, media)
                return fresh
        raise NoMessage(f"{compiled.contract.name} {operation.name} in {codec.name}")

    def fresh(self, compiled: CompiledContract, operation: Operation, message: dict[str, Any]) -> dict[str, Any]:
        """With the texts of its business key changed, as far as the schema allows."""
        if operation.identity is None or operation.identity.items:
            return message
        for path in operation.identity.key:
            steps = tuple(path.split("."))
            old = value_at(message, steps)
            if isinstance(old, str):
                new = f"{old}-{self.chance.getrandbits(4 * _SHORTEST):0{_SHORTEST}x}"
                changed = with_value(message, steps, new)
                if not compiled.validate(operation.request, changed):
                    message = changed
        return message

    def drop(self, folder: str, name: str, compiled: CompiledContract, operation: str, format_name: str) -> Path:
        """A file for a drop folder, written under another name first, as docs/integrate.md says."""
        if self.drops is None:
            raise LookupError("this caller drops no files")
        request = compiled.contract.operations[operation].request
        codec = compiled.codec(format_name)
        for example in examples(compiled, request):
            with suppress(Failure):
                raw = codec.write(request, example)
                part = self.drops / folder / f"{name}.part"
                part.write_bytes(raw)
                return part.replace(part.with_name(name))
        raise NoMessage(f"{compiled.contract.name} {operation} in {format_name}")

    def _by_rest(
        self,
        compiled: CompiledContract,
        operation: Operation,
        codec: Codec,
        message: dict[str, Any],
        message_id: str | None,
        fault: str,
    ) -> Told:
        self._rest = self._rest or RestClient(self.identity)
        path, body = f"/{compiled.contract.name}{operation.path}", None
        if operation.method == "GET":
            query = codec.write_query(operation.request, message)
            path += f"?{query}" if query else ""
        else:
            body = codec.write_json(operation.request, message)
            message_id = message_id or str(uuid.uuid4())
        encrypt_it = body is not None and compiled.contract.protection == "encrypted"
        headers = {"lgsp-sandbox-fault": fault} if fault else {}
        answer = self._rest.call(
            operation.method, path, body, message_id, encrypt_it=encrypt_it, headers=headers, need_signature=False
        )
        problem = answer.problem or {}
        transfer = answer.receipt.transfer if answer.receipt is not None else str(problem.get("transfer", ""))
        return Told(answer.ok, answer.status, str(problem.get("code", "")), transfer, answer.body)

    def _by_soap(
        self,
        compiled: CompiledContract,
        operation: Operation,
        codec: Codec,
        message: dict[str, Any],
        message_id: str | None,
        fault: str,
        soap: str,
    ) -> Told:
        client = self._soap.setdefault(soap, SoapClient(self.identity, soap=soap))
        answer = client.call(
            compiled.contract.name,
            operation.name,
            codec.write_xml(operation.request, message, operation.name),
            action=codec.soap_action(operation.name),
            message_id=None if message_id is None else f"urn:uuid:{message_id}",
            encrypt_it=compiled.contract.protection == "encrypted",
            mutate=_ordering(fault) if fault else None,
        )
        code = "" if answer.fault is None else answer.fault.problem or answer.fault.code
        transfer = answer.receipt.transfer if answer.receipt is not None else ""
        return Told(answer.ok, answer.status, str(code), transfer, answer.raw)


def _ordering(fault: str) -> Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]:
    def mutate(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        return headers | {"lgsp-sandbox-fault": fault}, body

    return mutate


def ways(codec: Codec) -> Sequence[Way]:
    """By which protocols a format travels."""
    return [way for way, media in (("rest", "json"), ("soap", "xml")) if media in codec.speaks]  # type: ignore[misc]


__all__ = ["Caller", "NoMessage", "Told", "ways"]
