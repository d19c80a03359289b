"""Finds the agencies that a message goes to (article 12.2 of the regulation): those of its route.

Invariant: each message has one. The duty desk has what no other route leads to, the centre what none leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from contracts.base.times import moment
from contracts.compiled.contract import CompiledContract
from gateway.registry.snapshot import Snapshot


class Competent(NamedTuple):
    """An agency, and its system that the message was sent to, or is to be."""

    agency: str
    system: str | None = None


def competent(
    snapshot: Snapshot, contract: CompiledContract, event: Mapping[str, Any], message: Mapping[str, Any]
) -> tuple[Competent, ...]:
    """Of a message and its event in the feed: by the routes, at the time of the event. Where they name no agency of
    their own, a message that was dispatched stays with the agency that got it.
    """
    assert contract.workflow is not None
    table = snapshot.competence(contract.contract.name, contract.workflow.operation)
    found = table.find(message, moment(str(event["time"])) or 0.0) if table is not None else ()
    system = snapshot.system(str(event.get("lgspprovider")))
    if system is not None and (table is None or all(each.rule == 0 or not table.names(each.rule) for each in found)):
        return (Competent(system.agency, system.id),)
    got = system.agency if system is not None else None
    return tuple(
        Competent(each.agency, system.id if system is not None and each.agency == got else None) for each in found
    ) or (Competent(str(event["lgspagency"])),)
