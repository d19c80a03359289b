"""Makes the content that officers sign of a contract's workflow (`gateway.registry.changes.workflows`)."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from contracts.compiled.contract import CompiledContract
from contracts.workflow.table import table_of
from gateway.registry import versions
from gateway.registry.changes.content import Content, Subject
from gateway.registry.owning import owner_of
from gateway.registry.workflows import WORKFLOW


def of_contract(connection: Connection, compiled: CompiledContract) -> Content | None:
    """The table as it was read, the bundle that it is in, and the owner of the contract; None without a workflow."""
    contract = compiled.contract
    if compiled.workflow is None:
        return None
    return {
        "contract": contract.name,
        "version": contract.version,
        "bundle": compiled.digest,
        "owner": owner_of(connection, contract),
        WORKFLOW: table_of(compiled.workflow),
    }


def of_contracts(connection: Connection) -> dict[Subject, Content]:
    """Of the contracts in force, whatever is live."""
    return {
        Subject(WORKFLOW, compiled.contract.name): content
        for compiled in in_force(connection)
        if (content := of_contract(connection, compiled)) is not None
    }


def in_force(connection: Connection) -> Iterator[CompiledContract]:
    """The contracts in force, in the order of their names."""
    for _, stored in sorted(versions.in_force(connection).items()):
        yield versions.compiled_of(connection, stored.digest)
