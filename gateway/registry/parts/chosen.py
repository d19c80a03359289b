"""Reads what chooses messages in a registry document: an operation of a contract, and values at paths of its request.

Routes choose the messages of a system by it, systems what they are the source of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from contracts.canonical.model import Operation
from contracts.compiled.contract import CompiledContract
from gateway.registry.parts.identities import Identities
from gateway.registry.records import Source
from gateway.registry.sources import ANY, HANDS_IN

MOST_SOURCES: Final = 100  # of one system
_VALUE: Final = re.compile(r"[^*]*[^*\s]\*?")


class Choice(NamedTuple):
    """`known` is the operation, if the contract in force has it."""

    contract: str
    operation: str
    when: Mapping[str, tuple[str, ...]]
    known: Operation | None


class Chosen(Identities):
    def __init__(self, contracts: Mapping[str, CompiledContract]) -> None:
        super().__init__()
        self._contracts = contracts

    def _choice(self, path: str, item: Mapping[str, Any]) -> Choice:
        contract = self._text(f"{path}.contract", item.get("contract"))
        name = self._text(f"{path}.operation", item.get("operation"))
        compiled = self._contract(f"{path}.contract", contract)
        when: dict[str, tuple[str, ...]] = {}
        for key, values in self._mapping(f"{path}.when", item.get("when", {})).items():
            at = f"{path}.when.{key}"
            when[key] = tuple(self._text(place, value) for place, value in self._list(at, values))
            if not when[key]:
                self._wrong(at, "required", "at least one value", "none")
        known = compiled.contract.operations.get(name) if compiled is not None else None
        if compiled is not None and known is None:
            self._wrong(f"{path}.operation", "reference", f"one of {', '.join(compiled.contract.operations)}", name)
        if compiled is not None and known is not None and when:
            # Everything is seen; only the paths are asked about.
            for problem in compiled.check_fields(known.request, ["*", *when]):
                self._wrong(f"{path}.when", "reference", f"paths of {known.request}", problem)
        return Choice(contract, name, when, known)

    def _sources(self, path: str, raw: Any) -> tuple[Source, ...]:
        """What a system is the source of."""
        stated = self._list(path, raw)
        if len(stated) > MOST_SOURCES:
            self._wrong(path, "length", f"at most {MOST_SOURCES} sources", str(len(stated)))
            return ()
        return tuple(self._source(at, each) for at, each in stated)

    def _source(self, path: str, raw: Any) -> Source:
        item = self._mapping(path, raw, {"contract", "operation", "when"})
        choice = self._choice(path, item)
        if choice.known is not None and choice.known.pattern not in HANDS_IN:
            self._wrong(
                f"{path}.operation",
                "reference",
                f"an operation that hands data in ({', '.join(HANDS_IN)})",
                choice.operation,
            )
        for key, values in choice.when.items():
            for place, value in enumerate(values):
                if value and _VALUE.fullmatch(value) is None:
                    expected = f"a value, or the beginning of values with {ANY} at its end"
                    self._wrong(f"{path}.when.{key}[{place}]", "format", expected, value)
        return Source(choice.contract, choice.operation, choice.when)

    def _contract(self, path: str, name: str) -> CompiledContract | None:
        contract = self._contracts.get(name)
        if contract is None and name:
            self._wrong(
                path,
                "reference",
                f"a contract in force ({', '.join(sorted(self._contracts)) or 'there is none'})",
                name,
            )
        return contract
