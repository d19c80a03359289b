"""Lists the effect of all grants and routes: who receives which field of which message, and how.

An agency gets the answers of the operations that it calls and the events of the feeds that it reads, by its grants to
ask. Its systems get the requests that a route brings to them, by its grants to receive. A dropped file gets a report,
which has no value of a field. Hours and quotas are limits of a grant: what is shown within them is shown here.
Invariant: every row is the decision that a door or the forwarder would make at that moment, within such limits.
Invariant: a field is shown exactly if the mask of the decision lets its value through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from contracts.canonical.model import Pattern
from contracts.codecs.mask import Leaf
from contracts.compiled.contract import CompiledContract
from gateway.registry.parts.grants import FEED, received
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot, Views
from security.grants.grants import Decision, Grant
from security.grants.held import AgencyGrants

Seen = tuple[tuple[str, tuple[Leaf, ...]], ...]  # the fields of each message
MARKS: Final = ("basic", "sensitive")  # of personal fields
_ALL: Final[Views] = (("*",),)


class Way(StrEnum):
    """How a message comes to its receiver."""

    ANSWER = "answer"
    REQUEST = "request"
    FEED = "feed"


@dataclass(frozen=True, slots=True)
class Cell:
    """One agency, operation and way. `systems` are its systems that get the message; routed ones for a request."""

    agency: str
    contract: str
    operation: str
    decision: Decision
    seen: Seen = ()
    way: Way = Way.ANSWER
    systems: tuple[str, ...] = ()

    @property
    def gets(self) -> bool:
        return self.decision.allowed and (bool(self.systems) or self.way is not Way.REQUEST)

    @property
    def dead_route(self) -> bool:
        """A route leads here, but nobody may receive."""
        return self.way is Way.REQUEST and bool(self.systems) and not self.decision.allowed

    def only(self, keep: Collection[str]) -> Cell:
        """With the fields that have one of these marks alone."""
        seen = ((message, tuple(each for each in fields if each.personal in keep)) for message, fields in self.seen)
        return replace(self, seen=tuple((message, fields) for message, fields in seen if fields))


@dataclass(frozen=True, slots=True)
class Receipt:
    """One field that an agency receives, by the grants that show it; `until` the last of them ends."""

    agency: str
    systems: tuple[str, ...]
    way: Way
    contract: str
    operation: str
    message: str
    path: str
    personal: str | None
    grants: tuple[str, ...]
    until: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """Files that a system hands in. The report that it gets names lines, fields and rules, never a value."""

    agency: str
    system: str
    folder: str
    match: str
    contract: str
    operation: str


def cell(
    snapshot: Snapshot,
    agency: str,
    contract: CompiledContract,
    operation: str,
    now: float,
    *,
    used_up: Collection[str] = (),
) -> Cell:
    """What a door decides now. `used_up` are the grants without remaining quota; others may allow."""
    decision = snapshot.decide(agency, contract.contract.name, operation, now)
    return Review(snapshot, now).asking(agency, contract, operation, decision.without(used_up) or decision)


def matrix(snapshot: Snapshot, now: float) -> Iterator[Cell]:
    """Each agency × contract × operation that it may ask for; and each that reaches, or may reach, its systems."""
    review = Review(snapshot, now)
    for agency in sorted(snapshot.agencies):
        grants = AgencyGrants.of(_at_any_hour(snapshot.grants(agency)), snapshot.ahead(agency))
        for name, contract in sorted(snapshot.contracts.items()):
            for operation in operations(contract):
                yield review.asking(agency, contract, operation, grants.decide(name, operation, now))
            for each in received(contract):
                routed = tuple(system.id for system in snapshot.routed(name, each.name) if system.agency == agency)
                if (own := snapshot.own_provider(agency, name)) is not None:
                    routed = (own,)
                decision = grants.decide_receiving(name, each.name, now)
                if routed or decision.allowed:
                    yield review.receiving(agency, contract, each.name, decision, routed)


def receipts(snapshot: Snapshot, cells: Iterable[Cell]) -> Iterator[Receipt]:
    """Every field that somebody receives."""
    review = Review(snapshot, 0.0)
    for each in cells:
        contract = snapshot.contracts[each.contract]
        for message, fields in each.seen if each.gets else ():
            alone = {grant: review.shown(contract, message, grant.fields) for grant in each.decision.through}
            for leaf in fields:
                if leaf.shown:
                    grants = [grant for grant, shown in alone.items() if leaf.path in shown] or [*alone]
                    yield Receipt(
                        agency=each.agency,
                        systems=each.systems,
                        way=each.way,
                        contract=each.contract,
                        operation=each.operation,
                        message=message,
                        path=leaf.path,
                        personal=leaf.personal,
                        grants=tuple(grant.id for grant in grants),
                        until=max(_ends(grant) for grant in grants),
                    )


def names_field(pattern: str, contract: str, path: str) -> bool:
    """Whether `phone`, `responsible.*` or `field-report:phone` names this field: at any depth, with all below it."""
    of, colon, wanted = pattern.rpartition(":")
    if colon and not in_contract(of, contract):
        return False
    steps = path.replace("[]", "").lower().split(".")
    wanted = wanted.replace("[]", "").lower()
    return any(
        fnmatchcase(".".join(steps[start:end]), wanted)
        for start in range(len(steps))
        for end in range(start + 1, len(steps) + 1)
    )


def in_contract(pattern: str, contract: str) -> bool:
    return fnmatchcase(contract, pattern) or fnmatchcase(contract.partition("/")[0], pattern)


def dropped(snapshot: Snapshot) -> list[Dropped]:
    return [
        Dropped(system.agency, system.id, system.drop.folder, rule.match, rule.contract, rule.operation)
        for system in sorted(snapshot.systems.values(), key=lambda each: each.id)
        if system.drop is not None
        for rule in system.drop.rules
    ]


def operations(contract: CompiledContract) -> tuple[str, ...]:
    """The operations that a grant can name: the contract's, and `feed` if it has one."""
    known = tuple(contract.contract.operations)
    return (*known, FEED) if contract.contract.fed else known


@dataclass(frozen=True, slots=True)
class Review:
    """Makes the cells of one snapshot. The fields of like lists are made once."""

    snapshot: Snapshot
    now: float
    _leaves: dict[tuple[str, str, Views], tuple[Leaf, ...]] = field(default_factory=dict)

    def asking(self, agency: str, contract: CompiledContract, operation: str, decision: Decision) -> Cell:
        name, known = contract.contract.name, contract.contract.operations
        seen: Seen = ()
        if decision.allowed and operation == FEED:
            messages = dict.fromkeys(message for each in contract.contract.fed for message in each.fed)
            seen = tuple((message, self.leaves(contract, message, decision.views)) for message in messages)
        elif decision.allowed:  # the gateway's own answer to a submission is not masked
            views = _ALL if known[operation].pattern is Pattern.SUBMIT else decision.views
            seen = ((known[operation].answer, self.leaves(contract, known[operation].answer, views)),)
        way = Way.FEED if operation == FEED else Way.ANSWER
        callers = self._systems(each for each in self.snapshot.systems.values() if each.agency == agency)
        return Cell(agency, name, operation, decision, seen, way, callers if decision.allowed else ())

    def receiving(
        self, agency: str, contract: CompiledContract, operation: str, decision: Decision, systems: tuple[str, ...]
    ) -> Cell:
        request = contract.contract.operations[operation].request
        seen = ((request, self.leaves(contract, request, decision.views)),) if decision.allowed else ()
        return Cell(agency, contract.contract.name, operation, decision, seen, Way.REQUEST, systems)

    def leaves(self, contract: CompiledContract, message: str, views: Views) -> tuple[Leaf, ...]:
        key = (contract.digest, message, views)
        if key not in self._leaves:
            self._leaves[key] = tuple(contract.leaves(message, *views))
        return self._leaves[key]

    def shown(self, contract: CompiledContract, message: str, fields: tuple[str, ...]) -> frozenset[str]:
        return frozenset(each.path for each in self.leaves(contract, message, (fields,)) if each.shown)

    def _systems(self, systems: Iterable[System]) -> tuple[str, ...]:
        return tuple(sorted(each.id for each in systems if each.drop is None))


def _at_any_hour(grants: Iterable[Grant]) -> Iterator[Grant]:
    """As within their hours: a permission without them, and no prohibition of some hours alone."""
    for each in grants:
        if each.hours is None:
            yield each
        elif not each.denies:
            yield replace(each, hours=None)


def _ends(grant: Grant) -> float:
    """An adopted grant that shows personal fields ends when it is not confirmed in time."""
    waits = grant.adopted and grant.personal and not grant.confirmed
    return min(grant.valid_until, grant.confirm_until) if waits else grant.valid_until


def text(snapshot: Snapshot, cells: Sequence[Cell]) -> str:
    """For reviews: a line per operation, and a line per field."""
    files: dict[tuple[str, str], list[Dropped]] = {}
    for file in dropped(snapshot):
        files.setdefault((file.agency, file.contract), []).append(file)
    limits = {grant.id: grant for code in snapshot.agencies for grant in snapshot.grants(code)}
    lines: list[str] = []
    before: tuple[str, str] | None = None
    for each in cells:
        if before is None or before[0] != each.agency:
            lines += ["", each.agency]
        if before != (each.agency, each.contract):
            lines.append(f"  {each.contract}")
            lines += [
                f"    file {file.operation} from {file.system} ({file.folder}/{file.match}): its report has no value"
                for file in files.get((each.agency, each.contract), ())
            ]
        before = (each.agency, each.contract)
        here = each.way is Way.ANSWER and snapshot.answers_from_feed(each.contract, each.operation)
        fed = ", from the feed where a route says so" if here and each.gets else ""
        lines.append(f"    {_line(each, limits)}{fed}")
        for message, fields in each.seen:
            lines.append(f"          {message}")
            lines += [
                f"            {'+' if leaf.shown else '-'} {leaf.path}"
                + (f"  [{leaf.personal}]" if leaf.personal else "")
                for leaf in fields
            ]
    return "\n".join(lines).lstrip("\n") + "\n"


def _line(each: Cell, limits: Mapping[str, Grant]) -> str:
    decision = each.decision
    by = " and ".join(_limited(limits.get(grant.id, grant)) for grant in decision.through)
    nearest = f", nearest {decision.nearest.id}" if decision.nearest is not None else ""
    route = f"receives {each.operation}"
    if each.dead_route:
        return f"!!  {route} by route to {', '.join(each.systems)}: nobody may receive: {decision.reason}{nearest}"
    if each.way is Way.REQUEST and each.systems:
        return f"yes {route} by route to {', '.join(each.systems)} by {by}"
    if each.way is Way.REQUEST:
        return f"–   {route} by {by}: no route leads here"
    return f"yes {each.operation} by {by}" if decision.allowed else f"no  {each.operation}: {decision.reason}{nearest}"


def _limited(grant: Grant) -> str:
    limits = (str(limit) for limit in (grant.hours, grant.quota) if limit is not None)
    return " ".join([grant.id, *limits, *((f"[policy {grant.policy}]",) if grant.policy else ())])
