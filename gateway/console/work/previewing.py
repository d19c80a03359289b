"""Previews a grant on real traffic: the transfers of the last week, decided as if two officers had signed it.

Each transfer is decided twice by the doors' own functions, at the moment of its arrival: by the grants that stand, and
with the proposed one among them. So is each session of reading a feed. A transfer is allowed if its caller may call
and a system may receive it. Transfers that were refused for another reason than access are left out.
Limits: quotas are not counted, and a grant that begins later is looked at as if it had begun. What the doors check
after access is not known of a transfer that was refused before: its body, and to which of several systems it goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from contracts.base.errors import Failure
from contracts.canonical.model import Pattern
from gateway.audit.search.facts import Facts, Logged
from gateway.audit.search.search import Query, reading, search
from gateway.console.site.desk import Desk
from gateway.feeds.sessions import NOTE as FEED_READ
from gateway.journal.logged import parse
from gateway.registry.changes.granting import content_of
from gateway.registry.changes.matrix import Cell, Review, operations
from gateway.registry.errors import ROUTE_MASK_UNSHOWN, ROUTE_NOT_GRANTED, unknown
from gateway.registry.parts.grants import FEED
from gateway.registry.receiving import received_by
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from security.grants.grants import ACTIVE, Decision, Grant
from security.grants.held import AgencyGrants

WEEK: Final = 7 * 86_400.0
AT_ONCE: Final = 500  # transfers of one page
_KINDS: Final = f"intent,refusal,{FEED_READ}"
_OF_ACCESS: Final = ("access.", ROUTE_NOT_GRANTED.code, ROUTE_MASK_UNSHOWN.code)  # failures that a grant may change
_BEGINS: Final = ("opened", "counted")  # the first entry of a session of reading a feed, or its only one
_DIGITS: Final = 12
_SIGNED: Final = ("first", "second")


@dataclass(frozen=True, slots=True)
class Differing:
    """Transfers of an agency and operation that the grant would change alike: allowed, refused, shown, hidden."""

    what: str
    agency: str
    operation: str
    fields: tuple[str, ...]
    count: int
    transfer: str
    at: str


@dataclass(frozen=True, slots=True)
class Preview:
    grant: str
    rows: tuple[Differing, ...]
    looked: int
    next: str | None


def preview(desk: Desk, name: str, scope: str | None, cursor: str | None = None) -> Preview:
    """A part of the week; `cursor` is `next` of the part before it.

    Raises `registry.unknown`, also for a grant of another agency, and `audit.bad-cursor`.
    """
    snapshot = desk.services.registry.snapshot
    with desk.reading() as connection:
        grant = content_of(connection, name)
    if scope is not None and grant.agency != scope:
        raise unknown("grant", name)
    begins, _, rest = (cursor or "").partition("~")  # all parts are of the same week
    since = int(begins) if begins.isdecimal() and len(begins) < _DIGITS else int(desk.now() - WEEK)
    query = Query(contract=grant.contract, kind=_KINDS, since=float(since))
    with reading(desk.services.engine) as connection:
        page = search(connection, query, limit=AT_ONCE, cursor=rest or None)
    foreseen = _Foreseen(snapshot, grant)
    found: dict[tuple[str, str, str, tuple[str, ...]], Differing] = {}
    looked = 0
    for hit in page.hits:
        if not _concerned(hit):
            continue
        facts, times = hit.facts, hit.facts.times
        looked += times
        for what, agency, fields in foreseen.differing(facts, _arrival(facts)):
            key = (what, agency, _operation(facts), fields)
            first = found.get(key)
            found[key] = (
                Differing(*key[:3], fields, times, facts.transfer, facts.at)
                if first is None
                else replace(first, count=first.count + times)
            )
    rows = tuple(sorted(found.values(), key=lambda each: (each.what, -each.count)))
    return Preview(name, rows, looked, f"{since}~{page.next}" if page.next else None)


class _Foreseen:
    def __init__(self, snapshot: Snapshot, grant: Grant) -> None:
        self._snapshot, self._contract = snapshot, snapshot.contracts.get(grant.contract)
        self._grant = replace(grant.with_status(ACTIVE, _SIGNED), valid_from=0.0, adopted=False)
        self._held: dict[str, AgencyGrants] = {}
        self._review = Review(snapshot, 0.0)

    def differing(self, facts: Facts, at: float) -> list[tuple[str, str, tuple[str, ...]]]:
        """What the grant changes of one transfer or reading: kind, agency, fields."""
        agency, operation = self._agency(facts), _operation(facts)
        if agency is None or self._contract is None or operation not in operations(self._contract):
            return []
        name, held, snapshot = self._contract.contract.name, self._with(agency), self._snapshot
        if self._grant.receives:
            before = snapshot.decide_receiving(agency, name, operation, at)
            after = held.decide_receiving(name, operation, at)
            system = snapshot.system(facts.provider or "")
            pair = [system is not None and self._received(system, operation, each, at) for each in (before, after)]
        else:
            before, after = snapshot.decide(agency, name, operation, at), held.decide(name, operation, at)
            pair = [each.allowed and self._reaches(operation, at) for each in (before, after)]
        if pair[0] != pair[1]:
            return [("allowed" if pair[1] else "refused", agency, self._shown(agency, operation, after))]
        old, new = (set(self._shown(agency, operation, each)) for each in (before, after))
        more, less = tuple(sorted(new - old)), tuple(sorted(old - new))
        changed = [(what, agency, fields) for what, fields in (("shown", more), ("hidden", less)) if fields]
        return changed if pair[1] else []

    def _reaches(self, operation: str, at: float) -> bool:
        """Whether somebody may receive what a caller sends. Nobody has to for a submission, and for a feed."""
        assert self._contract is not None
        name, known = self._contract.contract.name, self._contract.contract.operations
        if operation == FEED or known[operation].pattern is Pattern.SUBMIT:
            return True
        if self._snapshot.answers_from_feed(name, operation):
            return True
        return any(
            self._received(each, operation, self._snapshot.decide_receiving(each.agency, name, operation, at), at)
            for each in self._snapshot.routed(name, operation)
        )

    def _received(self, system: System, operation: str, decision: Decision, at: float) -> bool:
        """Whether the doors would let the system receive by this decision."""
        assert self._contract is not None
        try:
            known = self._contract.contract.operations[operation]
            received_by(self._snapshot, system, self._contract, known, decision, at)
        except Failure:
            return False
        return True

    def _agency(self, facts: Facts) -> str | None:
        """Whom the grant may concern: who asked, or whose system was to receive; None if it concerns neither."""
        system = self._snapshot.system(facts.provider or "") if self._grant.receives else None
        code = (system.agency if system is not None else None) if self._grant.receives else facts.agency
        known = self._snapshot.agencies.get(code or "")
        if known is None:
            return None
        return known.code if self._grant.agency == known.code or self._grant.role in known.roles else None

    def _with(self, agency: str) -> AgencyGrants:
        if agency not in self._held:
            others = (each for each in self._snapshot.grants(agency) if each.id != self._grant.id)
            self._held[agency] = AgencyGrants.of([*others, self._grant], self._snapshot.ahead(agency))
        return self._held[agency]

    def _shown(self, agency: str, operation: str, decision: Decision) -> tuple[str, ...]:
        assert self._contract is not None
        if not decision.allowed:
            return ()
        cell: Cell = (
            self._review.receiving(agency, self._contract, operation, decision, ())
            if self._grant.receives
            else self._review.asking(agency, self._contract, operation, decision)
        )
        return tuple(
            leaf.path if leaf.personal is None else f"{leaf.path} [{leaf.personal}]"
            for _message, leaves in cell.seen
            for leaf in leaves
            if leaf.shown
        )


def _operation(facts: Facts) -> str:
    """An entry of a reading names its feed only."""
    return FEED if facts.kind == FEED_READ else facts.operation or ""


def _concerned(hit: Logged) -> bool:
    """Whether grants decided it. Of a session of reading a feed the first entry counts."""
    if hit.facts.kind == "refusal":
        return (hit.facts.failure or "").startswith(_OF_ACCESS)
    return hit.facts.kind != FEED_READ or parse(hit.entry).get("facts", {}).get("state") in _BEGINS


def _arrival(facts: Facts) -> float:
    """When the door asked: the time in the id; that of a dropped file is made from the file."""
    if facts.door == "files" or facts.kind == FEED_READ:
        return datetime.fromisoformat(facts.at).timestamp()
    return int(facts.transfer.replace("-", "")[:12], 16) / 1000
