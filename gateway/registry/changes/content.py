"""The content of the registry that two officers approve: roles of agencies, systems, route tables, workflows.

A subject is `agency CODE`, `system ID`, `route CONTRACT OPERATION` or `workflow CONTRACT`, on the command line with
slashes. Its content is what decides who receives what, and where, and how it is handled: names, contacts, keys and
states do not belong to it. A document declares no workflow: it comes with a contract (`changes.workflows`).
Invariant: `in_force` and `declared` give equal values for equal content, so that a difference is a change.
Invariant: a system in state `proposed` was never in force: it calls and receives nothing, and cannot be resumed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, Literal, NamedTuple, cast

from sqlalchemy import Connection, delete, insert, select, update

from adapters.kinds import FILES
from gateway.journal.schema import tables
from gateway.registry import routing
from gateway.registry.records import Agency, Route, Source, System
from gateway.registry.routing import FEED
from gateway.registry.workflows import WORKFLOW

What = Literal["agency", "system", "route", "workflow"]
Content = Mapping[str, Any]
CALLBACK: Final = "callback"  # in the text of an endpoint: the address that the system is called back at
SOURCES: Final = "sources"  # in the text of an endpoint: what the system is the source of
PROPOSED: Final = "proposed"  # the state of a system whose first content waits for officers
_UNSIGNED: Final = ("edition", "proposed_by")  # of the body of a proposal, not of the content
_KINDS: Final[tuple[What, ...]] = ("agency", "system", "route", "workflow")


class Subject(NamedTuple):
    """What officers sign: `id` of a route is `CONTRACT OPERATION`."""

    what: What
    id: str

    def __str__(self) -> str:
        return f"{self.what} {self.id}"

    @property
    def path(self) -> str:
        return f"{self.what}/{self.id.replace(' ', '/')}"

    @classmethod
    def of(cls, text: str) -> Subject:
        """The inverse of `str`."""
        what, _, name = text.partition(" ")
        return cls(cast(What, what), name)

    @classmethod
    def at(cls, path: str) -> Subject | None:
        """The inverse of `path`; None for anything else, such as the id of a grant."""
        what, slash, name = path.partition("/")
        if not slash or what not in _KINDS:
            return None
        contract, _, operation = name.rpartition("/")
        return cls(what, f"{contract} {operation}" if what == "route" else name)


def text(value: object) -> str:
    """A value as the registry's rows hold it."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def endpoint_text(system: System) -> str | None:
    """How the system is reached, where it is called back, and what it is the source of; None if nothing of that."""
    told: dict[str, Any] = {} if system.callback is None else {CALLBACK: system.callback}
    if system.sources:
        told[SOURCES] = [asdict(each) for each in system.sources]
    if system.drop is not None:
        return text({"kind": FILES.name, **asdict(system.drop), **told})
    if system.endpoint is None:
        return text(told) if told else None
    return text({"kind": system.endpoint.kind, "url": system.endpoint.url, **system.endpoint.options, **told})


def declared(
    agencies: tuple[Agency, ...],
    systems: tuple[System, ...],
    routes: tuple[Route, ...],
    versions: Mapping[str, Mapping[str, str]],
) -> dict[Subject, Content]:
    """The content that a document gives, by subject. `versions` are the settled minor versions of each system."""
    contents = {Subject("agency", each.code): _agency(each.code, list(each.roles)) for each in agencies}
    contents |= {
        Subject("system", each.id): _system(
            each.id, each.agency, dict(each.formats), dict(versions[each.id]), endpoint_text(each)
        )
        for each in systems
    }
    for route in routes:
        subject = Subject("route", f"{route.contract} {route.operation}")
        _table(contents, subject).append(_step(route))
    return contents


def in_force(connection: Connection) -> dict[Subject, Content]:
    """The content in force, from the rows; a workflow has none besides its proposal."""
    agency, system, route = tables.agency.c, tables.system.c, tables.route.c
    contents = {
        Subject("agency", row.code): _agency(row.code, json.loads(row.roles))
        for row in connection.execute(select(agency.code, agency.roles))
    }
    for row in connection.execute(select(*system).where(system.state != PROPOSED)):
        formats, versions = json.loads(row.formats), json.loads(row.versions or "{}")
        contents[Subject("system", row.id)] = _system(row.id, row.agency, formats, versions, row.endpoint)
    ordered = select(*route).order_by(route.contract, route.operation, route.position)
    for step in connection.execute(ordered).mappings():
        subject = Subject("route", f"{step['contract']} {step['operation']}")
        _table(contents, subject).append(routing.content_of(step))
    proposal = tables.registry_proposal.c
    workflows = select(proposal.subject, proposal.body).where(
        proposal.state == "in-force", proposal.subject.like(f"{WORKFLOW} %")
    )
    for row in connection.execute(workflows):
        contents[Subject.of(row.subject)] = unsigned(row.body)
    return contents


def unsigned(body: str) -> Content:
    """The content in the body of a proposal."""
    return {name: value for name, value in json.loads(body).items() if name not in _UNSIGNED}


def put(connection: Connection, subject: Subject, content: Content, state: str) -> None:
    """Write the content to the rows. `state` is that of a system that was `proposed` before."""
    if subject.what == WORKFLOW:
        return
    if subject.what == "agency":
        roles = text(content["roles"])
        connection.execute(update(tables.agency).where(tables.agency.c.code == subject.id).values(roles=roles))
        return
    if subject.what == "route":
        clear_route(connection, subject)
        for position, each in enumerate(content["table"]):
            connection.execute(
                insert(tables.route).values(
                    contract=content["contract"],
                    operation=content["operation"],
                    when=text(each["when"]),
                    system=each.get("system", ""),
                    position=position,
                    **{name: text(each[name]) if name in each else None for name in ("agencies", "hours", "outside")},
                )
            )
        return
    table, versions = tables.system.c, content.get("versions")
    endpoint = {**content.get("endpoint", {}), **({SOURCES: content[SOURCES]} if SOURCES in content else {})}
    values = {
        "agency": content["agency"],
        "formats": text(content["formats"]),
        "versions": None if versions is None else text(versions),
        "endpoint": text(endpoint) if endpoint else None,
    }
    connection.execute(update(tables.system).where(table.id == subject.id).values(values))
    new = (table.id == subject.id) & (table.state == PROPOSED)
    connection.execute(update(tables.system).where(new).values(state=state))


def clear_route(connection: Connection, subject: Subject) -> None:
    contract, operation = subject.id.split(" ")
    table = tables.route
    connection.execute(delete(table).where(table.c.contract == contract, table.c.operation == operation))


def sources_of(content: Content) -> tuple[Source, ...]:
    """What a system's content declares it the source of."""
    return sources_in(content.get(SOURCES, ()))


def sources_in(stated: Any) -> tuple[Source, ...]:
    """The same from the list in a row, a content or a proposal."""
    return tuple(
        Source(each["contract"], each["operation"], {path: tuple(values) for path, values in each["when"].items()})
        for each in stated
    )


def named_systems(content: Content) -> set[str]:
    """The systems that a route table names; the feed is none."""
    return {each["system"] for each in content["table"] if "system" in each} - {FEED}


def named_agencies(content: Content) -> set[str]:
    """The agencies that a route table names."""
    return {code for each in content["table"] for name in ("agencies", "outside") for code in each.get(name, ())}


def _step(route: Route) -> dict[str, Any]:
    step: dict[str, Any] = {"when": {path: list(values) for path, values in route.when.items()}}
    if route.system:
        step["system"] = route.system
    if route.agencies:
        step["agencies"] = list(route.agencies)
    if route.hours is not None:
        step["hours"] = route.hours if isinstance(route.hours, str) else [each.to_json() for each in route.hours]
    if route.outside:
        step["outside"] = list(route.outside)
    return step


def _agency(code: str, roles: list[str]) -> Content:
    return {"code": code, "roles": roles}


def _system(
    name: str, agency: str, formats: Mapping[str, str], versions: Mapping[str, str], endpoint: str | None
) -> Content:
    content: dict[str, Any] = {"id": name, "agency": agency, "formats": formats}
    if versions:
        content["versions"] = versions
    reached: dict[str, Any] = {} if endpoint is None else json.loads(endpoint)
    if (sources := reached.pop(SOURCES, None)) is not None:
        content[SOURCES] = sources
    if reached:
        content["endpoint"] = reached
    return content


def _table(contents: dict[Subject, Content], subject: Subject) -> list[dict[str, Any]]:
    contract, operation = subject.id.split(" ")
    empty: Content = {"contract": contract, "operation": operation, "table": []}
    table: list[dict[str, Any]] = contents.setdefault(subject, empty)["table"]
    return table
