"""Lists the effect of all grants: agency × contract × operation × field.

Invariant: every row is the decision that a door would make at that moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from contracts.canonical.model import Pattern
from contracts.compiled.contract import CompiledContract
from gateway.registry.parts.grants import FEED
from gateway.registry.snapshot import Snapshot, Views
from security.grants.grants import Decision, Grant

Fields = tuple[tuple[str, bool], ...]  # path, and whether all below it is visible too


@dataclass(frozen=True, slots=True)
class Cell:
    """One agency and operation. `seen` has the visible fields of each message."""

    agency: str
    contract: str
    operation: str
    decision: Decision
    seen: tuple[tuple[str, Fields], ...] = ()


def cell(
    snapshot: Snapshot,
    agency: str,
    contract: CompiledContract,
    operation: str,
    now: float,
    *,
    used_up: Collection[str] = (),
) -> Cell:
    """`used_up` are the grants without remaining quota; they are ignored if others allow."""
    decision = snapshot.decide(agency, contract.contract.name, operation, now)
    decision = decision.without(used_up) or decision
    return Cell(
        agency,
        contract.contract.name,
        operation,
        decision,
        _seen(contract, operation, decision.views) if decision.allowed else (),
    )


def matrix(snapshot: Snapshot, now: float) -> Iterator[Cell]:
    for agency in sorted(snapshot.agencies):
        for _, contract in sorted(snapshot.contracts.items()):
            for operation in operations(contract):
                yield cell(snapshot, agency, contract, operation, now)


def operations(contract: CompiledContract) -> tuple[str, ...]:
    """The operations that a grant can name: the contract's, and `feed` if it has submissions."""
    known = contract.contract.operations
    return (*known, FEED) if any(each.pattern is Pattern.SUBMIT for each in known.values()) else tuple(known)


def text(cells: Sequence[Cell]) -> str:
    """For reviews: a line per operation, and a line per field."""
    lines: list[str] = []
    before: tuple[str, str] | None = None
    for each in cells:
        if before is None or before[0] != each.agency:
            lines += ["", each.agency]
        if before != (each.agency, each.contract):
            lines.append(f"  {each.contract}")
        before = (each.agency, each.contract)
        decision = each.decision
        if decision.grant is not None:
            lines.append(f"    yes {each.operation} by " + " and ".join(_limited(grant) for grant in decision.through))
        else:
            nearest = f", nearest {decision.nearest.id}" if decision.nearest is not None else ""
            lines.append(f"    no  {each.operation}: {decision.reason}{nearest}")
        for message, fields in each.seen:
            lines.append(f"          {message}")
            lines += [f"            {'+' if shown else '-'} {path}" for path, shown in fields]
    return "\n".join(lines).lstrip("\n") + "\n"


def _limited(grant: Grant) -> str:
    return " ".join([grant.id, *(str(limit) for limit in (grant.hours, grant.quota) if limit is not None)])


def _seen(contract: CompiledContract, operation: str, views: Views) -> tuple[tuple[str, Fields], ...]:
    known = contract.contract.operations
    if operation == FEED:
        messages = dict.fromkeys(each.request for each in known.values() if each.pattern is Pattern.SUBMIT)
        return tuple((message, tuple(contract.seen(message, *views))) for message in messages)
    if known[operation].pattern is Pattern.SUBMIT:  # the gateway's own answer is not masked
        views = (("*",),)
    return ((known[operation].answer, tuple(contract.seen(known[operation].answer, *views))),)
