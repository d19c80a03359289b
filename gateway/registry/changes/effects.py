"""Says who receives what by content that officers approve: the words of what they sign.

A sight is one way in which a system gets fields: it `receives` a message by a route, it `asks` and gets an answer, it
`reads` a feed. The sights of the content in force and of the proposed content are compared line by line.
Invariant: the fields are those that a door would show: by the same decisions and the same masks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection

from contracts.base.words import Words
from contracts.canonical.model import Pattern
from contracts.codecs.mask import Leaf
from contracts.compiled.contract import CompiledContract
from contracts.workflow.table import Difference, differing
from gateway.registry import routing
from gateway.registry.changes.content import Content, Subject, in_force
from gateway.registry.changes.granting import grants
from gateway.registry.changes.matrix import operations
from gateway.registry.changes.proposals import Proposal, proposals
from gateway.registry.competence import ALWAYS, hours_text
from gateway.registry.errors import words
from gateway.registry.history import grant_versions
from gateway.registry.parts.grants import FEED
from gateway.registry.snapshot import Snapshot
from gateway.registry.workflows import WORKFLOW
from security.grants.grants import ACTIVE, OFFICERS, Decision, Grant, Request, digest
from security.grants.held import decide

_SIGNED: Final = ("first", "second")  # two officers, whoever they will be


@dataclass(frozen=True, slots=True, order=True)
class Sight:
    """`grants` without an id: nothing lets the system get it, so the gateway refuses it."""

    agency: str
    system: str
    way: str  # receives | asks | reads | handles | answers: the gateway itself, from the feed
    contract: str
    operation: str
    when: str
    where: str  # the address, or the drop folder
    form: str
    grants: tuple[str, ...]
    shown: tuple[str, ...]
    hidden: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def say(self, agency: Words) -> Words:
        nothing = Words("", "")
        return words(
            f"sight.{self.way}",
            system=self.system or words("sight.every"),
            agency=agency,
            contract=self.contract,
            operation=self.operation,
            when=words("sight.when", when=self.when) if self.when else nothing,
            where=words("sight.where", where=self.where, form=self.form) if self.where else nothing,
            by=words("sight.by", grants=", ".join(self.grants)) if self.grants else words("sight.none"),
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """The sights that a proposal brings, takes away and leaves, and its content's changes: name, old, new."""

    new: tuple[Sight, ...]
    gone: tuple[Sight, ...]
    kept: tuple[Sight, ...]
    changes: tuple[tuple[str, Any, Any], ...]


def compared(connection: Connection, snapshot: Snapshot, proposal: Proposal, now: float) -> Compared:
    """What the proposal would change if it came into force now, together with what it waits for."""
    held = in_force(connection)
    waiting = {subject: each.content for subject, each in proposals(connection, "waiting").items()}
    known, subject = held.get(proposal.subject), proposal.subject
    before = set(_World(connection, snapshot, held, now).sights(subject))
    after = set(_World(connection, snapshot, {**held, **waiting, subject: proposal.content}, now).sights(subject))
    if proposal.state != "waiting":
        before = after
    flow = subject.what == WORKFLOW
    changes = tuple(differing(known or proposal.content, proposal.content) if flow else _named(known, proposal))
    return Compared(
        tuple(sorted(after - before)), tuple(sorted(before - after)), tuple(sorted(after & before)), changes
    )


def _named(known: Content | None, proposal: Proposal) -> Iterator[Difference]:
    old, new = known or {}, proposal.content
    names = sorted({*new, *old})
    return ((name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))


def foreseen(connection: Connection, snapshot: Snapshot, grant: Grant, now: float) -> Compared:
    """What a grant would change if two officers had signed it, within its hours, at its first moment from now on."""
    held, at = in_force(connection), max(now, grant.valid_from)
    present = [each for each in grants(connection, snapshot.officers) if each.hours is None or each.id != grant.id]
    signed = replace(grant.with_status(ACTIVE, _SIGNED), hours=None, adopted=False)
    with_it = [*(each for each in present if each.id != grant.id), signed]
    holders = [code for code, each in snapshot.agencies.items() if grant.agency == code or grant.role in each.roles]

    def sights(of: list[Grant]) -> set[Sight]:
        world = _World(connection, snapshot, held, at, of)
        every = (each for code in holders for each in world.sights(Subject("agency", code)))
        return {each for each in every if each.contract == grant.contract}

    before, after = sights(present), sights(with_it)
    earlier = [each for each in grant_versions(connection, grant.id) if each.digest != digest(grant.canonical())]
    known: Content = next((each.content for each in reversed(earlier) if len(set(each.signed)) >= OFFICERS), {})
    names = sorted({*known, *grant.content()})
    changes = tuple((name, known.get(name), grant.content().get(name)) for name in names) if known else ()
    return Compared(
        tuple(sorted(after - before)),
        tuple(sorted(before - after)),
        tuple(sorted(after & before)),
        tuple(each for each in changes if each[1] != each[2]),
    )


class _World:
    """Contents as if they were in force; with these grants, or those that are."""

    def __init__(
        self,
        connection: Connection,
        snapshot: Snapshot,
        contents: Mapping[Subject, Content],
        now: float,
        held: list[Grant] | None = None,
    ) -> None:
        self._contents, self._snapshot, self._now = contents, snapshot, now
        self._grants = grants(connection, snapshot.officers) if held is None else held

    def sights(self, subject: Subject) -> Iterator[Sight]:
        content = self._contents.get(subject)
        if content is None or subject.what == WORKFLOW:  # it moves nothing to anybody
            return
        if subject.what == "route":
            yield from self._route(content, None)
            return
        agency = content["agency"] if subject.what == "system" else subject.id
        systems = [subject.id] if subject.what == "system" else self._systems_of(agency)
        for each, route in self._contents.items():
            if each.what == "route":
                yield from self._route(route, systems)
        system = subject.id if subject.what == "system" else ""
        for name, contract in sorted(self._snapshot.contracts.items()):
            for operation in operations(contract):
                decision = self._decide(agency, name, operation, receives=False)
                if decision.allowed:
                    way = "reads" if operation == FEED else "asks"
                    yield self._sight((agency, system, way), contract, operation, decision)

    def _systems_of(self, agency: str) -> list[str]:
        return [
            subject.id
            for subject, each in self._contents.items()
            if subject.what == "system" and each["agency"] == agency
        ]

    def _route(self, content: Content, systems: list[str] | None) -> Iterator[Sight]:
        contract = self._snapshot.contracts.get(content["contract"])
        operation = contract.contract.operations.get(content["operation"]) if contract is not None else None
        if contract is None or operation is None:
            return
        for row in content["table"]:
            when = "; ".join(f"{path} = {', '.join(values)}" for path, values in sorted(row["when"].items()))
            name, target = contract.contract.name, row.get("system", "")
            if target == routing.FEED and systems is None:
                yield Sight("", routing.FEED, "answers", name, operation.name, when, "", "", (), (), ())
            if systems is None:
                for code, served in _handling(row, when):
                    yield Sight(code, "", "handles", name, operation.name, served, "", "", (), (), ())
            system = self._contents.get(Subject("system", target))
            if system is None or systems is not None and target not in systems:
                continue
            agency = system["agency"]
            decision = self._decide(agency, content["contract"], content["operation"], receives=True)
            who = (agency, target, "receives")
            yield self._sight(who, contract, operation.name, decision, system, when)

    def _decide(self, agency: str, contract: str, operation: str, *, receives: bool) -> Decision:
        roles = self._contents.get(Subject("agency", agency), {"roles": []})["roles"]
        request = Request(agency, frozenset(roles), contract, operation, receives)
        return decide(self._grants, request, self._now)

    def _sight(
        self,
        who: tuple[str, str, str],
        contract: CompiledContract,
        operation: str,
        decision: Decision,
        system: Content | None = None,
        when: str = "",
    ) -> Sight:
        agency, name, way = who
        endpoint = (system or {}).get("endpoint", {})
        leaves = [
            leaf for message in seen(contract, operation, way) for leaf in contract.leaves(message, *decision.views)
        ]
        return Sight(
            agency=agency,
            system=name,
            way=way,
            contract=contract.contract.name,
            operation=operation,
            when=when,
            where=str(endpoint.get("url") or endpoint.get("folder") or ""),
            form=(system or {}).get("formats", {}).get(contract.contract.name, "canonical"),
            grants=tuple(grant.id for grant in decision.through),
            shown=tuple(marked(leaf) for leaf in leaves if leaf.shown) if decision.allowed else (),
            hidden=tuple(marked(leaf) for leaf in leaves if not leaf.shown) if decision.allowed else (),
        )


def _handling(row: Mapping[str, Any], when: str) -> Iterator[tuple[str, str]]:
    """The agencies that handle the messages of a route, and on which conditions."""
    hours = hours_text(routing.route_of("", "", row).hours)
    for name, served in (("agencies", f"hours = {hours}"), ("outside", f"hours ≠ {hours}")):
        for code in row.get(name, ()):
            yield code, when if hours == ALWAYS else "; ".join(filter(None, (when, served)))


def seen(contract: CompiledContract, operation: str, way: str) -> list[str]:
    """The messages that are seen: of a submission its sender gets only the gateway's own answer."""
    known = contract.contract.operations
    if way == "reads":
        return sorted({message for each in contract.contract.fed for message in each.fed})
    if way == "receives":
        return [known[operation].request]
    return [] if known[operation].pattern is Pattern.SUBMIT else [known[operation].answer]


def marked(leaf: Leaf) -> str:
    return leaf.path if leaf.personal is None else f"{leaf.path} [{leaf.personal}]"


def said(value: Any) -> str:
    """A value of a content in one line."""
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
