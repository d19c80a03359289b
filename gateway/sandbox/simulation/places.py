"""Which contract, format and operation an address of the simulation names.

    /{system}/{contract}/v{n}/{format}/…      one format of one contract
    /{system}/{contract}/v{n}/…               any format of one contract
    /{system}/…                               any contract: whoever reads the message has it

`…` is the format's own REST path; by SOAP there is none, and action and element name the operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.canonical.model import Operation
from contracts.compiled.contract import Codec, CompiledContract
from gateway.sandbox.simulation.published import Contracts


@dataclass(frozen=True, slots=True)
class Place:
    """One operation of one format of one contract."""

    compiled: CompiledContract
    codec: Codec
    operation: Operation

    @property
    def contract(self) -> str:
        return self.compiled.contract.name

    @property
    def encrypted(self) -> bool:
        return self.compiled.contract.protection == "encrypted"


@dataclass(frozen=True, slots=True)
class Address:
    """`contracts` and `format_name` are those that the path names, or all; `rest` is what is left of it."""

    system: str
    contracts: tuple[CompiledContract, ...]
    format_name: str | None
    rest: str

    @classmethod
    def read(cls, path: str, contracts: Contracts) -> Address:
        system, *steps = path.lstrip("/").split("/")
        named = contracts.get("/".join(steps[:2]))
        if named is None:
            return cls(system, tuple(contracts.values()), None, "/" + "/".join(steps))
        steps = steps[2:]
        format_name = steps.pop(0) if steps and steps[0] in named.formats else None
        return cls(system, (named,), format_name, "/" + "/".join(steps))

    def by_rest(self, method: str) -> Iterator[Place]:
        for compiled, codec in self._codecs("json"):
            for name, at in codec.rest.items():
                if at.method == method and at.path == self.rest:
                    yield Place(compiled, codec, compiled.contract.operations[name])

    def by_soap(self, action: str) -> Iterator[Place]:
        for compiled, codec in self._codecs("xml"):
            for operation in compiled.contract.operations.values():
                if codec.soap_action(operation.name) == action:
                    yield Place(compiled, codec, operation)

    def _codecs(self, media: str) -> Iterator[tuple[CompiledContract, Codec]]:
        for compiled in self.contracts:
            for name, codec in compiled.formats.items():
                if media in codec.speaks and self.format_name in (None, name):
                    yield compiled, codec
