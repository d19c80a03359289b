"""Decides whether a system may receive a message, and which fields of it it sees.

Receiving is granted as asking is: to the agency of the receiving system, or to one of its roles. The exchange decides
before the intent, the queue before each try. The forwarder takes the result and shows the system no more than that.
Invariant: a hidden field that the system's format cannot show as not permitted refuses the message.
Invariant: `!@personal` hides what the contract in force marks, also in a queued message of an earlier version.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from contracts.base.errors import Finding, Ours
from contracts.canonical.model import Operation
from contracts.codecs.mask import PERSONAL
from contracts.compiled.contract import CompiledContract
from gateway.registry.errors import ROUTE_MASK_UNSHOWN, ROUTE_NOT_GRANTED
from gateway.registry.records import System
from gateway.registry.snapshot import Mask, Snapshot, Views
from security.grants.grants import Decision
from security.grants.refusals import why_not_received

Message = dict[str, Any]


class Receiving(NamedTuple):
    """What a system may receive: `grants` allow it, `overdue` are those of them that were not confirmed in time."""

    grants: tuple[str, ...]
    mask: Mask | None = None
    overdue: tuple[str, ...] = ()

    def shown(self, message: Message) -> Message:
        return message if self.mask is None else self.mask(message)


def receive(
    snapshot: Snapshot, system: System, contract: CompiledContract, operation: Operation, now: float
) -> Receiving:
    """What the system may receive of the operation's request. Raises `route.not-granted`, `route.mask-unshown`."""
    decision = snapshot.decide_receiving(system.agency, contract.contract.name, operation.name, now)
    key = (system.id, contract.digest, operation.name)
    known = snapshot.received.get(key)
    if known is None or known[0] is not decision:
        known = snapshot.received[key] = (decision, received_by(snapshot, system, contract, operation, decision, now))
    receiving: Receiving = known[1]
    return receiving


def received_by(
    snapshot: Snapshot,
    system: System,
    contract: CompiledContract,
    operation: Operation,
    decision: Decision,
    now: float,
) -> Receiving:
    """What the system may receive by this decision. Raises as `receive`."""
    name = contract.contract.name
    if not decision.allowed:
        raise _refusal(snapshot, system, contract, operation, decision)
    views = _views(snapshot, contract, operation, decision)
    mask = snapshot.mask(contract, operation.request, views)
    if mask is not None and (unseen := _unshown(snapshot, system, contract, operation, views)):
        findings = [Finding(here, path, "", "mask", "a word for `not-permitted`") for path, here in unseen]
        raise ROUTE_MASK_UNSHOWN(
            findings=findings, provider=system.id, format=system.format(name), contract=name, count=len(findings)
        )
    return Receiving(
        tuple(grant.id for grant in decision.through),
        mask,
        tuple(grant.id for grant in decision.through if grant.overdue(now)),
    )


def _views(snapshot: Snapshot, contract: CompiledContract, operation: Operation, decision: Decision) -> Views:
    """The fields that the grants show. The version of a queued message may not have the marks of the one in force."""
    present = snapshot.contract(contract.contract.name)
    if present is None or present is contract or operation.request not in present.exchanged:
        return decision.views
    marked = tuple(f"!{path}" for path in present.personal(operation.request))
    return tuple((*view, *marked) if PERSONAL in view else view for view in decision.views)


def _unshown(
    snapshot: Snapshot, system: System, contract: CompiledContract, operation: Operation, views: Views
) -> list[tuple[str, str]]:
    try:
        codec = snapshot.codec(system, contract)
    except LookupError:  # nothing is sent in a format that the contract does not have
        return []
    return contract.unshown_request(operation, codec, *views, query=system.by_query)


def _refusal(
    snapshot: Snapshot, system: System, contract: CompiledContract, operation: Operation, decision: Decision
) -> Ours:
    name = contract.contract.name
    return ROUTE_NOT_GRANTED(
        provider=system.id,
        agency=system.agency,
        contract=name,
        operation=operation.name,
        why=why_not_received(decision, snapshot.request(system.agency, contract.contract, operation.name)),
        ask=snapshot.owner_of(contract.contract, system.agency),
        grant=decision.nearest.id if decision.nearest is not None else None,
    )
