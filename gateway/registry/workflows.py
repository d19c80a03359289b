"""Reads which workflow of each contract is live (article 13.3 of the regulation).

A workflow is content that officers approve (`gateway.registry.changes.workflows`): its proposal that is in force names
the bundle that it is in. Messages are handled by that bundle's contract.
Invariant: a contract with a proposal, past or present, has no other live workflow than the one in force.
Invariant: a contract without any has that of its version in force: nothing was founded yet, or an older release left
    it, and the next publication or document records it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, literal, select

from contracts.compiled.contract import CompiledContract
from contracts.workflow.table import table_of
from gateway.journal.schema import tables
from gateway.registry.errors import REGISTRY_ALTERED

WORKFLOW: Final = "workflow"  # the kind of its subject


class InForce(NamedTuple):
    """By contract: the one in force, and the one by whose workflow its messages are handled, perhaps an older one."""

    contracts: Mapping[str, CompiledContract]
    handled: Mapping[str, CompiledContract]


def in_force(connection: Connection, bundle: Callable[[str], CompiledContract]) -> InForce:
    """In one query. `bundle` gives the contract of a digest.

    Raises: registry.altered, if a bundle has another workflow than was approved.
    """
    force, proposal = tables.contract_in_force, tables.registry_proposal
    of = proposal.c.subject == literal(f"{WORKFLOW} ") + force.c.contract
    query = select(force.c.contract, force.c.digest, proposal.c.state, proposal.c.body).select_from(
        force.outerjoin(proposal, of)
    )
    contracts: dict[str, CompiledContract] = {}
    known: dict[str, dict[str, Any] | None] = {}
    for row in connection.execute(query.order_by(force.c.contract)):
        contracts[row.contract] = bundle(row.digest)
        if row.state is not None:
            known[row.contract] = json.loads(row.body) if row.state == "in-force" else known.get(row.contract)
    handled: dict[str, CompiledContract] = {}
    for name, contract in contracts.items():
        content = known.get(name)
        if name not in known and contract.workflow is not None:
            handled[name] = contract
        elif content is not None:
            handled[name] = bundle(content["bundle"])
            if not holds(handled[name], content):
                raise REGISTRY_ALTERED(rows=f"{WORKFLOW} {name}: altered", count=1)
    return InForce(contracts, handled)


def holds(compiled: CompiledContract, content: Mapping[str, Any]) -> bool:
    """Whether a contract has the workflow of this content."""
    name, flow = compiled.contract.name, compiled.workflow
    return name == content["contract"] and flow is not None and table_of(flow) == content[WORKFLOW]
