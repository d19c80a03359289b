"""Quotas of grants: a cheap look before anything costly is done, and the use that is counted in the intent's own transaction.

Invariants
- Exact: a call counts when its intent is committed and only then, over all doors and restarts, since the count is a row of that transaction.
- A repeat of a message counts once; it gets its stored answer even where the quota is used up meanwhile.
- The look only spares work: what it lets through is still counted, and what it refuses the count would have refused. A window that is full stays full.
"""

from __future__ import annotations

import asyncio
from typing import Final

from sqlalchemy import Connection, Engine, select

from contracts.base.errors import Policy
from contracts.model import Contract
from gateway.exchange.stages import Requested
from gateway.journal import tables
from gateway.journal.write import QuotaUse
from gateway.registry.snapshot import Snapshot
from security.grants import Grant, quota_refusal

_MOST: Final = 10_000


class Quotas:
    """What one process knows of quotas that are used up."""

    def __init__(self, engine: Engine) -> None:
        self._engine: Final = engine
        self._full: set[QuotaUse] = set()

    async def look(self, requested: Requested, grant: Grant | None, now: float) -> None:
        """Refuse what would find its quota used up, unless it is a repeat of what was counted before."""
        if grant is None or not self.is_full(use_of(grant, requested.caller.agency, now)):
            return
        if not await asyncio.to_thread(self._stands, requested):
            raise self.full(requested.snapshot, grant, requested.caller.agency, requested.contract.contract, requested.operation.name, now)

    def is_full(self, use: QuotaUse | None) -> bool:
        """Whether it is known already that this call would be one too many."""
        return use in self._full

    def full(self, snapshot: Snapshot, grant: Grant, agency: str, contract: Contract, operation: str, now: float) -> Policy:
        """The refusal, for a use that the journal found to be one too many; remembered for those that come after."""
        use = use_of(grant, agency, now)
        if use is not None:
            if len(self._full) >= _MOST:
                self._full.clear()
            self._full.add(use)
        return quota_refusal(grant, snapshot.request(agency, contract, operation), snapshot.owner_of(contract), now)

    def _stands(self, requested: Requested) -> bool:
        """Whether a transfer of this message stands already."""
        table = tables.transfer.c
        message = (
            (table.caller_system, requested.caller.id),
            (table.contract, requested.contract.contract.name),
            (table.operation, requested.operation.name),
            (table.message_id, requested.message_id),
        )
        with self._engine.connect() as connection:
            return connection.execute(select(table.id).where(*(column == value for column, value in message))).first() is not None


def use_of(grant: Grant | None, agency: str, now: float) -> QuotaUse | None:
    """One call by an agency through a grant; None where the grant has no quota."""
    if grant is None or grant.quota is None:
        return None
    return QuotaUse(grant.id, agency, grant.quota.per, grant.quota.window(now).begins, grant.quota.calls)


def used(connection: Connection, grant: Grant, agency: str, now: float) -> int:
    """Calls counted so far in the window that runs."""
    use = use_of(grant, agency, now)
    if use is None:
        return 0
    table = tables.quota_use.c
    wanted = ((table.grant_id, use.grant_id), (table.agency, use.agency), (table.per, use.per), (table.begins, use.begins))
    return int(connection.scalar(select(table.used).where(*(column == value for column, value in wanted))) or 0)
