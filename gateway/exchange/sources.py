"""Refuses data of which another system is declared the source (article 4.4 of the regulation)."""

from __future__ import annotations

from gateway.registry.errors import SOURCE_OTHER
from gateway.registry.sources import ANY, scope
from gateway.transfer.large_body import off_loop
from gateway.transfer.stages import Message, Requested


async def check(requested: Requested, message: Message) -> None:
    """Raises `source.other`. Costs a look-up where nobody declared a source of the operation."""
    snapshot, contract, operation = requested.snapshot, requested.contract.contract, requested.operation
    if not snapshot.has_sources(contract.name, operation.name):
        return
    what = (contract.name, operation.name, requested.caller, message)
    found = await off_loop(requested.received.heavy, snapshot.other_source, *what)
    if found is not None:
        system, source = found
        raise SOURCE_OTHER(
            contract=contract.name,
            operation=operation.name,
            scope=scope(source) or ANY,
            source=system.name,
            system=requested.caller.name,
            ask=snapshot.owner_of(contract, requested.caller.agency),
        )
