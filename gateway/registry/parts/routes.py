"""Reads the routes of a registry document (article 12.2): the system for each message of an operation.

Invariant: each operation with routes has exactly one fallback, so every message has a route and no route is unused.
"""

from __future__ import annotations

from typing import Any

from gateway.registry.parts.parties import Parties
from gateway.registry.records import Route
from gateway.registry.routing import FEED


class Routes(Parties):
    def _route(self, path: str, raw: Any) -> Route | None:
        item = self._mapping(path, raw, {"contract", "operation", "when", "system"})
        contract = self._text(f"{path}.contract", item.get("contract"))
        operation = self._text(f"{path}.operation", item.get("operation"))
        system = self._text(f"{path}.system", item.get("system"))
        compiled = self._contract(f"{path}.contract", contract)
        when: dict[str, tuple[str, ...]] = {}
        for key, values in self._mapping(f"{path}.when", item.get("when", {})).items():
            at = f"{path}.when.{key}"
            when[key] = tuple(self._text(place, value) for place, value in self._list(at, values))
            if not when[key]:
                self._wrong(at, "required", "at least one value", "none")
        if compiled and operation not in compiled.contract.operations:
            self._wrong(
                f"{path}.operation", "reference", f"one of {', '.join(compiled.contract.operations)}", operation
            )
            compiled = None
        if compiled and when:
            message = compiled.contract.operations[operation].request
            for problem in compiled.check_fields(
                message, ["*", *when]
            ):  # everything is seen; only the paths are asked about
                self._wrong(f"{path}.when", "reference", f"paths of {message}", problem)
        if system == FEED:
            if compiled and compiled.contract.operations[operation].feed is None:
                self._wrong(f"{path}.system", "reference", "a system; the contract has no answer from the feed", system)
        elif system and system not in self._systems:
            self._wrong(f"{path}.system", "reference", "the id of a system of this document", system)
        elif system and self._systems[system].endpoint is None:
            self._wrong(f"{path}.system", "reference", "a system that has an endpoint", system)
        return Route(contract, operation, when, system)

    def _fallbacks(self, routes: list[Route]) -> None:
        """Each operation with routes needs exactly one fallback (article 12.2)."""
        count: dict[tuple[str, str], int] = {}
        for route in routes:
            key = (route.contract, route.operation)
            count[key] = count.get(key, 0) + (not route.when)
        for (contract, operation), fallbacks in count.items():
            if fallbacks != 1:
                self._wrong(
                    "routes", "fallback", f"one route without `when` for {contract} {operation}", f"{fallbacks} of them"
                )
