"""Finds the agencies that handle a message (articles 11.2 and 12.2): by its kind, its area and the hour.

The rules are the routes of the operation that a contract's workflow names. They are tried in order, for each area of
the message by itself; so an alert for two communes has two agencies. The fallback is the duty desk.
Invariant: every message has at least one agency, as long as the instance has a centre or an active agency.
Invariant: a suspended agency handles nothing; the duty desk does, else the centre.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from contracts.workflow.model import Workflow
from contracts.workflow.working_time import Stretch, minute_of
from gateway.registry.errors import words
from gateway.registry.own_feed import CENTRE
from gateway.registry.records import ACTIVE, Agency, Route, System
from gateway.registry.routing import FEED, RouteTable, path_of
from security.grants.windows import Hours

ALWAYS: Final = "always"


class Why(StrEnum):
    """Why an agency is competent."""

    RULE = "rule"
    OUTSIDE = "outside-hours"  # it serves outside the hours of the rule
    DESK = "duty-desk"  # no rule fits
    SUSPENDED = "suspended"  # the agency of the rule is suspended
    NO_ROUTES = "no-routes"  # the operation has none: the centre


@dataclass(frozen=True, slots=True, kw_only=True)
class Competent:
    """`rule` counts from 1; 0 is none. `areas` are those of the message; none if the message names no area.

    `system` is the one that gets the message, if one does. `instead` are the agencies that the rule names for its
    hours, if others serve. `hours` are those of the rule, with the stretch of a calendar in which the moment lies.
    """

    agency: str
    why: Why
    rule: int
    system: str | None = None
    areas: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    hours: str = ALWAYS
    stretch: Stretch | None = None

    @property
    def told(self) -> Words:
        """Why, in words."""
        facts: dict[str, Any] = {"rule": self.rule, "hours": self.hours, "instead": ", ".join(self.instead)}
        off = self.stretch is not None and not self.stretch.counted
        because = self.stretch.told if self.stretch is not None and off else words("outside-windows")
        return words(f"competent.{self.why}", because=because, **facts)


class CompetenceTable:
    """Compiled from the routes of one operation and the contract's workflow."""

    __slots__ = ("_active", "_area", "_centre", "_systems", "_table", "workflow")

    def __init__(
        self,
        routes: Sequence[Route],
        workflow: Workflow,
        agencies: Mapping[str, Agency],
        systems: Mapping[str, System],
    ) -> None:
        self._area = None if workflow.area is None else path_of(workflow.area)
        self._table = RouteTable(routes, self._area)
        self._systems = systems
        self._active = {code for code, agency in agencies.items() if agency.state == ACTIVE}
        self._centre = next((code for code, agency in agencies.items() if CENTRE in agency.roles), None)
        self.workflow = workflow

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._table.routes

    @property
    def duty_desk(self) -> tuple[str, ...]:
        """The active agencies of the fallback; else the centre."""
        number = self._table.fallback
        named = self._named(self.routes[number]) if number is not None else ()
        return tuple(code for code in named if code in self._active) or self._last_resort()

    def find(self, message: Mapping[str, Any], at: float) -> tuple[Competent, ...]:
        """Who handles the message at a moment: each agency once, in the order of the message's areas."""
        competent: dict[str, Competent] = {}
        for each in self._all(message, at):
            known = competent.get(each.agency)
            areas = each.areas if known is None else tuple(dict.fromkeys((*known.areas, *each.areas)))
            competent[each.agency] = replace(known or each, areas=areas)
        return tuple(competent.values())

    def names(self, rule: int) -> bool:
        """Whether a rule, counted from 1, names agencies or hours of its own, beside its system."""
        route = self.routes[rule - 1]
        return bool(route.agencies) or route.hours is not None

    def only_desk(self, kind: str, area: str | None) -> bool:
        """Whether no rule but the fallback fits a message of which no more is known."""
        path = self.workflow.area
        message = message_of({self.workflow.kind: kind} | ({path: area} if path and area else {}))
        return self._table.position(message) == self._table.fallback

    def all_suspended(self, route: Route) -> bool:
        named = self._named(route)
        return bool(named) and not self._active & set(named)

    def _all(self, message: Mapping[str, Any], at: float) -> Iterator[Competent]:
        if self._area is None:
            position = self._table.position(message)
            positions: dict[int, list[str]] = {} if position is None else {position: []}
        else:
            positions = self._table.positions(message, self._area)
        for number, areas in positions.items():
            yield from self._of_rule(number, tuple(areas), at)
        if not positions:
            yield from (Competent(agency=code, why=Why.NO_ROUTES, rule=0) for code in self._last_resort())

    def _of_rule(self, number: int, areas: tuple[str, ...], at: float) -> Iterator[Competent]:
        route = self.routes[number]
        named, served, stretch = self._named(route), *self.serves(route, at)
        why = Why.DESK if number == self._table.fallback else Why.RULE
        if not served:
            named, instead, why = route.outside or self.duty_desk, named, Why.OUTSIDE
        else:
            instead = ()
        there = tuple(code for code in named if code in self._active)
        if not there:
            there, instead, why = self.duty_desk, named, Why.SUSPENDED if named else Why.DESK
        for code in there:
            yield Competent(
                agency=code,
                why=why,
                rule=number + 1,
                system=route.system if route.system not in ("", FEED) else None,
                areas=areas,
                instead=instead,
                hours=hours_text(route.hours),
                stretch=stretch,
            )

    def serves(self, route: Route, at: float) -> tuple[bool, Stretch | None]:
        """Whether the moment is within the hours of a route. A name that the workflow lost does not shut it."""
        if route.hours is None:
            return True, None
        if not isinstance(route.hours, str):
            return any(each.holds(at) for each in route.hours), None
        calendar = self.workflow.hours.get(route.hours)
        if calendar is None:
            return True, None
        stretch = calendar.at(minute_of(at))
        return stretch.counted, stretch

    def _named(self, route: Route) -> tuple[str, ...]:
        """The agencies of a rule within its hours."""
        system = self._systems.get(route.system)
        return route.agencies or (() if system is None else (system.agency,))

    def _last_resort(self) -> tuple[str, ...]:
        if self._centre is not None:
            return (self._centre,)
        return tuple(sorted(self._active)[:1])


def competences(
    tables: Mapping[tuple[str, str], RouteTable],
    contracts: Mapping[str, CompiledContract],
    agencies: Mapping[str, Agency],
    systems: Mapping[str, System],
) -> dict[tuple[str, str], CompetenceTable]:
    """The table of each operation that a live workflow names. `contracts` are those whose workflows are live."""
    found: dict[tuple[str, str], CompetenceTable] = {}
    for name, contract in contracts.items():
        if contract.workflow is not None:
            key = (name, contract.workflow.operation)
            routes = tables[key].routes if key in tables else ()
            found[key] = CompetenceTable(routes, contract.workflow, agencies, systems)
    return found


def hours_text(hours: str | tuple[Hours, ...] | None) -> str:
    if hours is None:
        return ALWAYS
    return hours if isinstance(hours, str) else "; ".join(map(str, hours))


def message_of(values: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
    """A message with one value, or a list of them, at each path; in place of the lists on the way one element."""
    message: dict[str, Any] = {}
    for path, value in values.items():
        *steps, last = path_of(path)
        at = message
        for step in steps:
            inner = at.setdefault(step, {})
            at = inner if isinstance(inner, dict) else {}
        at[last] = value
    return message
