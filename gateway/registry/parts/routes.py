"""Reads the routes of a registry document (article 12.2): the system for each message of an operation, and the agency.

Invariant: each operation with routes has exactly one fallback, so every message has a route and no route is unused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from contracts.workflow.model import Workflow
from gateway.registry.parts.chosen import Choice
from gateway.registry.parts.parties import Parties
from gateway.registry.records import Route
from gateway.registry.routing import FEED
from gateway.registry.values import kind
from security.grants.windows import Hours

MOST_AGENCIES: Final = 10  # of one route
MOST_WINDOWS: Final = 20


class Routes(Parties):
    def _route(self, path: str, raw: Any) -> Route | None:
        item = self._mapping(path, raw, {"contract", "operation", "when", "system", "agency", "hours", "outside"})
        choice = self._choice(path, item)
        competence = self._competence(path, item, choice)
        if "system" not in item and competence.agencies and choice.known is not None:
            if not choice.known.fed:
                self._wrong(f"{path}.system", "required", "a system: the operation's answer comes from one", "none")
            return competence
        system = self._text(f"{path}.system", item.get("system"))
        if system == FEED:
            if choice.known is not None and choice.known.feed is None:
                self._wrong(f"{path}.system", "reference", "a system; the contract has no answer from the feed", system)
        elif system and system not in self._systems:
            self._wrong(f"{path}.system", "reference", "the id of a system of this document", system)
        elif system and self._systems[system].endpoint is None:
            self._wrong(f"{path}.system", "reference", "a system that has an endpoint", system)
        return replace(competence, system=system)

    def _competence(self, path: str, item: Mapping[str, Any], choice: Choice) -> Route:
        """Who handles the messages of a route, by the workflow of the contract."""
        stated = [name for name in ("agency", "hours", "outside") if name in item]
        compiled = self._contracts.get(choice.contract)
        flow = compiled.workflow if compiled is not None else None
        if stated and (flow is None or flow.operation != choice.operation):
            named = flow.operation if flow is not None else "none"
            self._wrong(f"{path}.{stated[0]}", "reference", f"an operation with a workflow ({named})", choice.operation)
        hours = None if "hours" not in item else self._hours(f"{path}.hours", item["hours"], flow)
        outside = self._handling(f"{path}.outside", item["outside"]) if "outside" in item else ()
        if "outside" in item and "hours" not in item:
            self._wrong(f"{path}.outside", "required", "the hours outside of which these agencies serve", "no hours")
        if "hours" in item and not choice.when and not outside:
            self._wrong(f"{path}.outside", "required", "who serves outside the hours of the route for all others", "")
        agencies = self._handling(f"{path}.agency", item["agency"]) if "agency" in item else ()
        return Route(
            contract=choice.contract,
            operation=choice.operation,
            when=choice.when,
            system="",
            agencies=agencies,
            hours=hours,
            outside=outside,
        )

    def _handling(self, path: str, value: Any) -> tuple[str, ...]:
        """One agency, or a list of them."""
        stated = [(path, value)] if isinstance(value, str) else self._list(path, value)
        if not 1 <= len(stated) <= MOST_AGENCIES:
            self._wrong(path, "length", f"1 to {MOST_AGENCIES} agencies", str(len(stated)))
            return ()
        codes = tuple(self._text(at, each) for at, each in stated)
        for (at, _), code in zip(stated, codes, strict=True):
            if code and code not in self._agencies:
                self._wrong(at, "reference", "the code of an agency of this document", code)
        return tuple(dict.fromkeys(codes))

    def _hours(self, path: str, value: Any, flow: Workflow | None) -> str | tuple[Hours, ...] | None:
        """A name of the workflow's hours, or windows of a week."""
        if isinstance(value, str):
            if flow is not None and value not in flow.hours:
                self._wrong(path, "reference", f"one of {', '.join(flow.hours)}, or windows of a week", value)
            return value
        windows: list[Hours] = []
        for at, each in self._list(path, value):
            try:
                windows.append(Hours.from_json(each))
            except ValueError as why:
                self._wrong(at, "type", str(why), kind(each))
        if not 1 <= len(windows) <= MOST_WINDOWS:
            self._wrong(path, "length", f"1 to {MOST_WINDOWS} windows", str(len(windows)))
        return tuple(windows)

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
