"""Routes for a steward: which system gets which message, and where one message of somebody would go.

Whoever sees one agency alone sees the routes to its own systems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from contracts.base.words import Words
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.console.work.board import seen_of
from gateway.registry.changes.content import Content, Subject, in_force
from gateway.registry.changes.proposals import proposals
from gateway.registry.competence import Competent, hours_text, message_of
from gateway.registry.gaps import Gap, gaps
from gateway.registry.records import NEWEST, Route, System
from gateway.registry.routing import FEED, RouteTable, route_of
from gateway.registry.snapshot import Snapshot
from security.grants.grants import Decision

MOST_VALUE: Final = 500  # characters of a value that a condition asks for


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One rule. `number` counts from 1 within its operation; the first that fits decides. `system` is None for the
    contract's own feed. `speaks` is the version of the contract that the system speaks. Somebody of another agency
    does not see the address."""

    contract: str
    version: str
    operation: str
    title: Words
    number: int
    when: tuple[tuple[str, tuple[str, ...]], ...]
    name: str
    system: System | None
    speaks: str
    address: str | None
    ready: str  # what the registry says: whether it may be called
    route: Route
    handled: bool  # whether a workflow says how the messages are handled
    seen: str = ""  # the same with what the log shows (`observed.Seen.state`)

    @property
    def subject(self) -> str:
        return Subject("route", f"{self.contract} {self.operation}").path

    @property
    def agencies(self) -> tuple[str, ...]:
        """Who handles the messages, within the hours."""
        return self.route.agencies or (() if self.system is None else (self.system.agency,))

    @property
    def hours(self) -> str:
        return hours_text(self.route.hours)

    def concerns(self, agency: str) -> bool:
        called = self.system is not None and self.system.agency == agency
        return called or agency in (*self.route.agencies, *self.route.outside)


@dataclass(frozen=True, slots=True)
class Routes:
    """`waiting` are the subjects of routes that wait for officers; `gaps` are for who sees every agency."""

    rows: tuple[RouteRow, ...]
    waiting: frozenset[str]
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Where:
    """Where a message would go: may its sender ask, which rule decides, and may the receiver have it.

    `row` is None if no rule fits, `receives` if no system gets it. `competent` handle it, if a workflow says how.
    """

    asks: Decision
    row: RouteRow | None
    receives: Decision | None
    values: Mapping[str, str]
    at: float
    competent: tuple[Competent, ...] = ()

    @property
    def arrives(self) -> bool:
        row = self.row
        if not self.asks.allowed or row is None:
            return False
        return row.system is None or row.ready == "ready" and self.receives is not None and self.receives.allowed


def routes(desk: Desk, viewer: Viewer, contract: str = "", system: str = "") -> Routes:
    """By contract and operation, in the order in which rules are tried."""
    contents, waiting = _contents(desk)
    rows = _rows(desk, contents)
    scope = viewer.account.scope
    shown = (
        each
        for each in rows
        if contract in ("", each.contract) and system in ("", each.name) and (scope is None or each.concerns(scope))
    )
    found = tuple(_observed(desk, list(shown)))
    return Routes(found, waiting, () if scope else tuple(weak(desk.services.registry.snapshot, contract)))


def weak(snapshot: Snapshot, contract: str = "") -> Iterator[Gap]:
    """What is weak in the routes of operations that a workflow names."""
    for name, compiled in sorted(snapshot.handled.items()):
        flow = compiled.workflow
        table = snapshot.competence(name, flow.operation) if flow is not None and contract in ("", name) else None
        if table is not None:
            yield from gaps(compiled, table)


def operations(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """Operation, as `CONTRACT OPERATION`, by contract: what can be asked about."""
    return {name: tuple(each.contract.operations) for name, each in sorted(snapshot.contracts.items())}


def conditions(desk: Desk, contract: str, operation: str) -> tuple[str, ...]:
    """The paths of the message that decide."""
    contents, _ = _contents(desk)
    table = contents.get(Subject("route", f"{contract} {operation}"), {}).get("table", ())
    return tuple(dict.fromkeys(path for each in table for path in each["when"]))


def where(
    desk: Desk, viewer: Viewer, given: tuple[str, str, str], values: Mapping[str, str], at: float | None = None
) -> Where:
    """`given` are agency, contract and operation; `values` those of the message by path. Raises `console.form`.

    `at` is when the message comes: it decides who handles it.
    """
    agency, contract, operation = given
    snapshot, now = desk.services.registry.snapshot, desk.now()
    agency = viewer.account.scope or agency
    if agency not in snapshot.agencies:
        raise CONSOLE_FORM(field="agency", why=", ".join(snapshot.agencies))
    known = operations(snapshot)
    if contract not in known:
        raise CONSOLE_FORM(field="contract", why=" | ".join(known))
    if operation not in known[contract]:
        raise CONSOLE_FORM(field="operation", why=" | ".join(known[contract]))
    for path, value in values.items():
        if len(value) > MOST_VALUE:
            raise CONSOLE_FORM(field=path[:100], why=f"more than {MOST_VALUE} characters")
    contents, _ = _contents(desk)
    rows = [each for each in _rows(desk, contents) if (each.contract, each.operation) == (contract, operation)]
    message, at = message_of(values), now if at is None else at
    row = _deciding(rows, message)
    table = snapshot.competence(contract, operation)
    competent = () if table is None else table.find(message, at)
    asks, receives = snapshot.decide(agency, contract, operation, now), None
    if row is not None and row.system is not None:
        receives = snapshot.decide_receiving(row.system.agency, contract, operation, now)
        if viewer.account.scope not in (None, row.system.agency):
            row = replace(row, address=None)
        (row,) = _observed(desk, [row])
    return Where(asks, row, receives, {path: text for path, text in values.items() if text}, at, competent)


def _contents(desk: Desk) -> tuple[Mapping[Subject, Content], frozenset[str]]:
    with desk.reading() as connection:
        waiting = proposals(connection, "waiting")
        return in_force(connection), frozenset(each.path for each in waiting if each.what == "route")


def _rows(desk: Desk, contents: Mapping[Subject, Content]) -> list[RouteRow]:
    snapshot = desk.services.registry.snapshot
    ready = snapshot.readiness(desk.now())
    rows: list[RouteRow] = []
    for subject, content in sorted(contents.items()):
        compiled = snapshot.contracts.get(content["contract"]) if subject.what == "route" else None
        operation = compiled.contract.operations.get(content["operation"]) if compiled is not None else None
        if compiled is None or operation is None:
            continue
        for number, each in enumerate(content["table"], 1):
            route = route_of(name := compiled.contract.name, operation.name, each)
            system = None if route.system == FEED else snapshot.systems.get(route.system)
            endpoint = system.endpoint if system is not None else None
            rows.append(
                RouteRow(
                    contract=name,
                    version=compiled.contract.version,
                    operation=operation.name,
                    title=operation.title,
                    number=number,
                    when=tuple((path, tuple(values)) for path, values in sorted(each["when"].items())),
                    name=route.system,
                    system=system,
                    speaks="" if system is None else system.versions.get(name, NEWEST),
                    address=None if endpoint is None else endpoint.url,
                    ready=ready.get(route.system, "unknown"),
                    route=route,
                    handled=snapshot.competence(name, operation.name) is not None,
                )
            )
    return rows


def _observed(desk: Desk, rows: Sequence[RouteRow]) -> list[RouteRow]:
    """With the state of each system as the board of systems shows it."""
    states = seen_of(desk, sorted({each.name for each in rows if each.system is not None}), desk.now())
    return [replace(each, seen=states[each.name].state(each.ready)[0]) if each.system else each for each in rows]


def _deciding(rows: Sequence[RouteRow], message: Mapping[str, Any]) -> RouteRow | None:
    """By the table that a door uses, with the number of each rule in place of its system."""
    table = RouteTable([Route(row.contract, row.operation, dict(row.when), str(row.number)) for row in rows])
    found = table.find(message)
    return None if found is None else rows[int(found) - 1]
