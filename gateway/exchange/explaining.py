"""Explains why an agency may, or may not, call an operation: which grant, what it shows, what is left of quotas.

Invariant: the decision is the one that a door would make, or made, with that registry at that time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from contracts.base.errors import Ours, Policy
from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from gateway.audit.search.uses import uses_before
from gateway.exchange import quotas
from gateway.registry.changes.matrix import Cell, cell
from gateway.registry.judging import Moment
from gateway.registry.receiving import receive
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from security.grants.grants import Decision, Grant
from security.grants.windows import Quota


class Counted(NamedTuple):
    """A grant with a quota, and the calls that were counted in its window."""

    grant: Grant
    quota: Quota
    calls: int


class Receiver(NamedTuple):
    """A system that a route leads to; `why` it may not receive, if it may not."""

    system: System
    grants: tuple[str, ...]
    why: Ours | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`decision` disregards quotas; `cell` is decided without the grants that are used up."""

    decision: Decision
    cell: Cell
    allowed: bool
    why: Policy | None  # None if it is allowed
    counted: tuple[Counted, ...]
    unknown: tuple[str, ...]  # grants whose calls of then are not known any more
    ask: Words
    receivers: tuple[Receiver, ...]

    @property
    def used_up(self) -> frozenset[str]:
        return frozenset(each.grant.id for each in self.counted if each.calls >= each.quota.calls)

    @property
    def grant(self) -> Grant | None:
        """The one that decides, or came nearest."""
        return self.cell.decision.grant or self.cell.decision.nearest


def explain(stands: Moment, snapshot: Snapshot, agency: str, contract: CompiledContract, operation: str) -> Explanation:
    """`snapshot` is that of `stands`, and knows all three."""
    name, now = contract.contract.name, stands.at
    whole = snapshot.decide(agency, name, operation, now)
    nearest = (whole.nearest,) if whole.nearest is not None else ()
    limited = [(each, each.quota) for each in (*whole.limited, *nearest) if each.quota is not None]
    found = [(each, quota, used(stands, each, agency, snapshot.ahead(agency))) for each, quota in limited]
    counted = tuple(Counted(each, quota, calls) for each, quota, calls in found if calls is not None)
    used_up = {each.grant.id for each in counted if each.calls >= each.quota.calls}
    allowed = whole.without(used_up) is not None
    why = None
    if not allowed and whole.allowed:
        why = quotas.refused(quotas.GrantQuery(snapshot, agency, contract.contract, operation, now))
    elif not allowed:
        why = snapshot.refusal(whole, agency, contract.contract, operation, now)
    return Explanation(
        decision=whole,
        cell=cell(snapshot, agency, contract, operation, now, used_up=used_up),
        allowed=allowed,
        why=why,
        counted=counted,
        unknown=tuple(each.id for each, _, calls in found if calls is None),
        ask=snapshot.owner_of(contract.contract, agency),
        receivers=tuple(_receivers(snapshot, contract, operation, now)),
    )


def used(stands: Moment, grant: Grant, agency: str, ahead: int = 0) -> int | None:
    """Calls counted in the window of `stands.at` so far; None if that is not known any more."""
    if not stands.past:
        return quotas.used(stands.here, grant, agency, stands.at + ahead)
    assert grant.quota is not None
    return uses_before(stands.here, grant.id, agency, float(grant.quota.window(stands.at).begins), stands.at)


def _receivers(snapshot: Snapshot, contract: CompiledContract, operation: str, now: float) -> Iterator[Receiver]:
    """The systems that a route of the operation leads to, and whether they may receive it."""
    for system in snapshot.routed(contract.contract.name, operation):
        try:
            grants = receive(snapshot, system, contract, contract.contract.operations[operation], now).grants
        except Ours as why:
            yield Receiver(system, (), why)
        else:
            yield Receiver(system, tuple(grants), None)
