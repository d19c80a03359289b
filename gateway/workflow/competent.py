"""Finds the agencies that a message goes to (article 12.2 of the regulation).

Invariant: each message has one. The centre is the duty desk for what no route leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from contracts.compiled.contract import CompiledContract
from gateway.registry.snapshot import Snapshot


class Competent(NamedTuple):
    """An agency, and its system that the message was sent to, or is to be."""

    agency: str
    system: str | None = None


def competent(
    snapshot: Snapshot, contract: CompiledContract, event: Mapping[str, Any], message: Mapping[str, Any]
) -> tuple[Competent, ...]:
    """Of a message and its event in the feed: the agency that it was dispatched to, else that of its route."""
    assert contract.workflow is not None
    name = event.get("lgspprovider") or snapshot.route(contract.contract.name, contract.workflow.operation, message)
    system = snapshot.system(str(name))
    if system is not None:
        return (Competent(system.agency, system.id),)
    centre = snapshot.centre()
    return (Competent(centre.code if centre is not None else str(event["lgspagency"])),)
