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
        choice = self._choice(path, item)
        system = self._text(f"{path}.system", item.get("system"))
        if system == FEED:
            if choice.known is not None and choice.known.feed is None:
                self._wrong(f"{path}.system", "reference", "a system; the contract has no answer from the feed", system)
        elif system and system not in self._systems:
            self._wrong(f"{path}.system", "reference", "the id of a system of this document", system)
        elif system and self._systems[system].endpoint is None:
            self._wrong(f"{path}.system", "reference", "a system that has an endpoint", system)
        return Route(choice.contract, choice.operation, choice.when, system)

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
