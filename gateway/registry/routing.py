"""Chooses the system of a message (article 12.2): the first route whose conditions all hold, else the fallback.

Invariant: with a fallback every message has a route.
Invariant: routes with one condition (such as a commune's code) cost one dictionary access, however many there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.words import Words
from gateway.journal.schema import tables
from gateway.registry.records import Route, System

FEED: Final = "@feed"  # in place of a system: the gateway answers from the feed of the contract itself
FROM_FEED: Final = System(id=FEED, agency="", title=Words("Luồng dữ liệu", "The feed"), formats={}, endpoint=None)
Path = tuple[str, ...]


class RouteTable:
    """Compiled from the routes of one operation."""

    __slots__ = ("_by_value", "_fallback", "_others", "systems")

    def __init__(self, routes: Sequence[Route]) -> None:
        self.systems = [route.system for route in routes]
        self._fallback: str | None = next((route.system for route in routes if not route.when), None)
        self._by_value: dict[Path, dict[str, int]] = {}
        self._others: list[tuple[int, tuple[tuple[Path, frozenset[str]], ...]]] = []
        for position, route in enumerate(routes):
            if len(route.when) == 1:
                ((path, values),) = route.when.items()
                known = self._by_value.setdefault(path_of(path), {})
                for value in values:
                    known.setdefault(value, position)
            elif route.when:
                self._others.append(
                    (position, tuple((path_of(path), frozenset(values)) for path, values in route.when.items()))
                )

    def find(self, message: Mapping[str, Any]) -> str | None:
        best = len(self.systems)
        for path, known in self._by_value.items():
            for value in values_at(message, path):
                best = min(best, known.get(value, best))
        for position, conditions in self._others:
            if position > best:
                break
            if all(any(value in wanted for value in values_at(message, path)) for path, wanted in conditions):
                best = position
        return self.systems[best] if best < len(self.systems) else self._fallback


def path_of(text: str) -> Path:
    """`info[].area[].code` -> ("info", "area", "code"): lists are iterated wherever they occur."""
    return tuple(step.removesuffix("[]") for step in text.split("."))


def values_at(value: Any, path: Path) -> Iterator[str]:
    """The texts at a path of a message."""
    if isinstance(value, list):
        for item in value:
            yield from values_at(item, path)
    elif path:
        if isinstance(value, Mapping) and path[0] in value:
            yield from values_at(value[path[0]], path[1:])
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif value is not None and not isinstance(value, Mapping):
        yield str(value)


def tables_of(connection: Connection) -> dict[tuple[str, str], RouteTable]:
    """The routes of each (contract, operation)."""
    by_operation: dict[tuple[str, str], list[Route]] = {}
    table = tables.route
    for row in connection.execute(
        select(table).order_by(table.c.contract, table.c.operation, table.c.position)
    ).mappings():
        when = {path: tuple(values) for path, values in json.loads(row["when"]).items()}
        route = Route(row["contract"], row["operation"], when, row["system"])
        by_operation.setdefault((route.contract, route.operation), []).append(route)
    return {key: RouteTable(routes) for key, routes in by_operation.items()}
