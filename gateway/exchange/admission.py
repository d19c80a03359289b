"""What a message does besides being taken in: the gateway judges it before the commit, and adds rows to its unit.

Invariant: a repeat of a message is not judged again: it gets the answer of the first one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from contracts.base.errors import Failure
from gateway.exchange.quotas import Quotas
from gateway.journal.write import Write
from gateway.transfer.stages import Decoded


class Admitted(Protocol):
    """What is written with the message. `told` is added to its answer."""

    def added_to(self, write: Write) -> Write: ...

    @property
    def told(self) -> Mapping[str, str]: ...


Judge = Callable[[Decoded], Admitted]  # raises what the message is refused by
Judges = Mapping[tuple[str, str], Judge]  # by contract and operation


async def admitted(judges: Judges, decoded: Decoded, quotas: Quotas) -> Admitted | None:
    """None if nothing is to be judged, or if the message is a repeat."""
    requested = decoded.requested
    judge = judges.get((requested.contract.contract.name, requested.operation.name))
    if judge is None:
        return None
    try:
        return await asyncio.to_thread(judge, decoded)
    except Failure:
        if await asyncio.to_thread(quotas.exists, requested):
            return None
        raise
