"""Finds what is weak in the routes of an operation: kinds and areas that only the duty desk handles, rules that clash.

Invariant: the work is bounded by `MOST_PAIRS` for kinds and areas, and by `MOST_RULES` squared for rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final

from contracts.base.words import Words
from contracts.canonical.places import Places, scalar_at
from contracts.compiled.contract import CompiledContract
from gateway.registry.competence import CompetenceTable
from gateway.registry.errors import words
from gateway.registry.records import Route

OTHER: Final = "*"  # in place of a value that no rule names
MOST_PAIRS: Final = 50_000
MOST_RULES: Final = 1_000
MOST_CLASHES: Final = 100  # that are named
_NAMED: Final = 5  # areas in the words of a gap


class Code(StrEnum):
    NO_ROUTES = "no-routes"  # all messages go to the centre
    DESK_ONLY = "desk-only"  # a kind, in some areas or all, that no rule names
    NEVER = "never"  # an earlier rule takes every message of this one
    OVERLAP = "overlap"  # two rules fit the same message and name other agencies: the earlier one decides
    NO_HOURS = "no-hours"  # the workflow lost the hours that a rule names
    SUSPENDED = "suspended"  # all agencies of a rule are suspended


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """`rule` and `other` count from 1. `areas` are empty if it is all of them."""

    contract: str
    operation: str
    code: Code
    rule: int | None = None
    other: int | None = None
    kind: str | None = None
    areas: tuple[str, ...] = ()

    @property
    def told(self) -> Words:
        named = ", ".join(self.areas[:_NAMED]) + (", …" if len(self.areas) > _NAMED else "")
        where = words("gap.some", count=len(self.areas), areas=named) if self.areas else words("gap.all")
        facts = {"rule": self.rule or 0, "other": self.other or 0, "kind": self.kind or "", "where": where}
        return words(f"gap.{self.code}", contract=self.contract, operation=self.operation, **facts)


def gaps(contract: CompiledContract, table: CompetenceTable) -> list[Gap]:
    """What is weak, in the order of the codes."""
    name, operation = contract.contract.name, table.workflow.operation

    def gap(code: Code, rule: int | None = None, other: int | None = None) -> Gap:
        return Gap(contract=name, operation=operation, code=code, rule=rule, other=other)

    if not table.routes:
        return [gap(Code.NO_ROUTES)]
    found = list(_desk_only(contract, table))
    clashes = islice(_clashes(table.routes[:MOST_RULES]), MOST_CLASHES)
    found += [gap(code, rule, other) for code, rule, other in clashes]
    for number, route in enumerate(table.routes, 1):
        if isinstance(route.hours, str) and route.hours not in table.workflow.hours:
            found.append(gap(Code.NO_HOURS, number))
        if table.all_suspended(route):
            found.append(gap(Code.SUSPENDED, number))
    return found


def known_values(contract: CompiledContract, table: CompetenceTable, path: str | None) -> tuple[str, ...]:
    """The values at a path that there are: of its enum or code table, else those that the rules name, and any other."""
    if path is None:
        return ()
    message = contract.messages[contract.contract.operations[table.workflow.operation].request]
    place = Places(message).get(path)
    scalar = None if place is None else scalar_at(place, path)
    if scalar is not None and scalar.table is not None and scalar.table in contract.tables:
        return tuple(row.code for row in contract.tables[scalar.table].rows if not row.valid_until)
    if scalar is not None and scalar.values:
        return scalar.values
    return (*dict.fromkeys(value for route in table.routes for value in route.when.get(path, ())), OTHER)


def _desk_only(contract: CompiledContract, table: CompetenceTable) -> Iterator[Gap]:
    """Kinds that no rule names, in some of the areas or in all. Hours do not matter: the desk may serve at night."""
    areas: tuple[str | None, ...] = known_values(contract, table, table.workflow.area) or (None,)
    kinds = known_values(contract, table, table.workflow.kind)
    for kind in kinds[: MOST_PAIRS // len(areas)]:
        bare = [area for area in areas if table.only_desk(kind, area)]
        if bare:
            yield Gap(
                contract=contract.contract.name,
                operation=table.workflow.operation,
                code=Code.DESK_ONLY,
                kind=kind,
                areas=() if len(bare) == len(areas) else tuple(each for each in bare if each),
            )


def _clashes(routes: tuple[Route, ...]) -> Iterator[tuple[Code, int, int]]:
    """Pairs of rules of which the later one never decides, or not always."""
    for later, rule in enumerate(routes):
        for earlier in range(later) if rule.when else ():
            first = routes[earlier]
            if not first.when or not _meet(first.when, rule.when):
                continue
            if _covers(first.when, rule.when):
                yield Code.NEVER, later + 1, earlier + 1
                break
            if not _covers(rule.when, first.when) and _served(first) != _served(rule):
                yield Code.OVERLAP, later + 1, earlier + 1


def _meet(one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a message with one value at each path can fit both."""
    return all(set(values) & set(other[path]) for path, values in one.items() if path in other)


def _covers(one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether every message that fits `other` fits `one`."""
    return all(path in other and set(other[path]) <= set(values) for path, values in one.items())


def _served(route: Route) -> tuple[str, tuple[str, ...]]:
    return route.system, route.agencies
