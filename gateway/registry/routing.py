"""Chooses the route of a message (article 12.2): the first route whose conditions all hold, else the fallback.

Invariant: with a fallback every message has a route.
Invariant: a look-up costs the values of the message and the routes that name one of them, however many there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.words import Words
from gateway.journal.schema import tables
from gateway.registry.records import Route, System
from security.grants.windows import Hours

FEED: Final = "@feed"  # in place of a system: the gateway answers from the feed of the contract itself
FROM_FEED: Final = System(id=FEED, agency="", title=Words("Luồng dữ liệu", "The feed"), formats={}, endpoint=None)
Path = tuple[str, ...]
Values = Callable[[Path], frozenset[str]]


class _Rest(NamedTuple):
    """A route that needs more than the value by which it is found."""

    position: int
    conditions: tuple[tuple[Path, frozenset[str]], ...]


class RouteTable:
    """Compiled from the routes of one operation. A route with several conditions is found by the path `first` if it
    names it, else by the one whose values the fewest routes share."""

    __slots__ = ("_by_value", "_others", "fallback", "routes", "systems")

    def __init__(self, routes: Sequence[Route], first: Path | None = None) -> None:
        self.routes = tuple(routes)
        self.systems = [route.system for route in routes]
        self.fallback: int | None = next((number for number, route in enumerate(routes) if not route.when), None)
        self._by_value: dict[Path, dict[str, int]] = {}
        self._others: dict[Path, dict[str, list[_Rest]]] = {}
        shared = _shared(routes)
        for position, route in enumerate(routes):
            if len(route.when) == 1:
                ((path, values),) = route.when.items()
                known = self._by_value.setdefault(path_of(path), {})
                for value in values:
                    known.setdefault(value, position)
            elif route.when:
                when = {path_of(path): values for path, values in route.when.items()}
                found_by = (
                    first if first in when else min(when, key=lambda each: max(shared[each, v] for v in when[each]))
                )
                rest = tuple((path, frozenset(values)) for path, values in when.items() if path != found_by)
                for value in dict.fromkeys(when[found_by]):
                    self._others.setdefault(found_by, {}).setdefault(value, []).append(_Rest(position, rest))

    def find(self, message: Mapping[str, Any]) -> str | None:
        """The system of the message's route, or FEED."""
        position = self.position(message)
        return None if position is None else self.systems[position]

    def position(self, message: Mapping[str, Any]) -> int | None:
        """The number of the message's route, from 0."""
        values, best = texts(message), len(self.routes)
        for path in {**self._by_value, **self._others}:
            best = self._best(path, values(path), values, best)
        return best if best < len(self.routes) else self.fallback

    def positions(self, message: Mapping[str, Any], path: Path) -> dict[int, list[str]]:
        """The route of each value at a path, as if the message had no other value there; by the number of the route.

        Of a message without a value it is the route of the message.
        """
        values, best = texts(message), len(self.routes)
        for each in {**self._by_value, **self._others}:
            if each != path:
                best = self._best(each, values(each), values, best)
        found: dict[int, list[str]] = {}
        for value in dict.fromkeys(values_at(message, path)):
            self._add(found, self._best(path, (value,), values, best)).append(value)
        if not found:
            self._add(found, best)
        return found

    def _add(self, found: dict[int, list[str]], best: int) -> list[str]:
        position = best if best < len(self.routes) else self.fallback
        return [] if position is None else found.setdefault(position, [])

    def _best(self, path: Path, given: Sequence[str] | frozenset[str], values: Values, best: int) -> int:
        alone, others = self._by_value.get(path, {}), self._others.get(path, {})
        for value in given:
            best = min(best, alone.get(value, best))
            for position, rest in others.get(value, ()):
                if position >= best:
                    break
                if not any(wanted.isdisjoint(values(each)) for each, wanted in rest):
                    best = position
        return best


def _shared(routes: Sequence[Route]) -> dict[tuple[Path, str], int]:
    """How many routes with several conditions name each value at each path."""
    shared: dict[tuple[Path, str], int] = {}
    for route in routes:
        for path, values in route.when.items() if len(route.when) > 1 else ():
            for value in values:
                key = (path_of(path), value)
                shared[key] = shared.get(key, 0) + 1
    return shared


def path_of(text: str) -> Path:
    """`info[].area[].code` -> ("info", "area", "code"): lists are iterated wherever they occur."""
    return tuple(step.removesuffix("[]") for step in text.split("."))


def texts(message: Mapping[str, Any]) -> Values:
    """The texts at each path of a message; each path is read once."""
    read: dict[Path, frozenset[str]] = {}

    def values(path: Path) -> frozenset[str]:
        if path not in read:
            read[path] = frozenset(values_at(message, path))
        return read[path]

    return values


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


def route_of(contract: str, operation: str, content: Mapping[str, Any]) -> Route:
    """A route from its content, as officers sign it."""
    hours = content.get("hours")
    return Route(
        contract=contract,
        operation=operation,
        when={path: tuple(values) for path, values in content["when"].items()},
        system=content.get("system", ""),
        agencies=tuple(content.get("agencies", ())),
        hours=tuple(Hours.from_json(each) for each in hours) if isinstance(hours, list) else hours,
        outside=tuple(content.get("outside", ())),
    )


def content_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The inverse, from a row of the table: without what is absent."""
    content: dict[str, Any] = {"when": json.loads(row["when"])}
    if row["system"]:
        content["system"] = row["system"]
    return content | {name: json.loads(row[name]) for name in ("agencies", "hours", "outside") if row[name] is not None}


def tables_of(connection: Connection) -> dict[tuple[str, str], RouteTable]:
    """The routes of each (contract, operation)."""
    by_operation: dict[tuple[str, str], list[Route]] = {}
    table = tables.route
    for row in connection.execute(
        select(table).order_by(table.c.contract, table.c.operation, table.c.position)
    ).mappings():
        route = route_of(row["contract"], row["operation"], content_of(row))
        by_operation.setdefault((route.contract, route.operation), []).append(route)
    return {key: RouteTable(routes) for key, routes in by_operation.items()}
