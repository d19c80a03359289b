"""Quotas of grants: a cheap look before anything costly is done, and the uses that are counted in the intent's own transaction.

A call counts against every grant that lets it through and has a quota. A grant whose quota is used up is, for that window, as if it were not there: the
decision is made anew without it, and only where none is left is the call refused, until the first of them counts anew.
Invariants
- Exact: a call counts when its intent is committed and only then, over all doors and restarts, since the counts are rows of that transaction.
- A repeat of a message counts once. It gets its stored answer even where the quotas are used up meanwhile, and sees what the grants show that counted it.
- The look only spares work: what it lets through is still counted, and what it refuses the count would have refused. A window that is full stays full.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from contracts.base.errors import Policy
from contracts.canonical.model import Contract, Pattern
from gateway.journal.schema import tables
from gateway.journal.write import QuotaUse
from gateway.registry.snapshot import Snapshot
from gateway.transfer.stages import Authorised, Decoded, Requested
from security.grants.grants import Decision, Grant
from security.grants.refusals import quota_refusal

_MOST: Final = 10_000


class UsedUp(Exception):
    """The journal found this use to be one too many; nothing was written."""

    def __init__(self, use: QuotaUse | None) -> None:
        super().__init__()
        assert use is not None  # a FULL verdict names it
        self.use: Final = use


class Asked(NamedTuple):
    """What is asked for, as far as grants go."""

    snapshot: Snapshot
    agency: str
    contract: Contract
    operation: str
    at: float


class Quotas:
    """What one process knows of quotas that are used up."""

    def __init__(self, engine: Engine) -> None:
        self._engine: Final = engine
        self._full: set[QuotaUse] = set()

    async def look(self, authorised: Authorised) -> Authorised:
        """Leave out grants that are known to be used up. Refuses where none is left, unless it is a repeat of what was counted before."""
        if not self._full or not authorised.decision.limited:
            return authorised
        asked = asked_by(authorised.requested)
        left = self.known(asked, authorised.decision)
        if left is not None:
            return authorised._replace(decision=left)
        if not await asyncio.to_thread(self._stands, authorised.requested):
            raise refused(asked)
        return authorised

    def known(self, asked: Asked, decision: Decision) -> Decision | None:
        """The decision without the grants of which it is known already that this call would be one too many; None if no grant is left."""
        if not self._full:
            return decision
        return decision.without(
            {use.grant_id for use in uses_of(decision, asked.agency, asked.at) if use in self._full}
        )

    def narrowed(self, asked: Asked, decision: Decision, full: UsedUp) -> Decision:
        """The decision without the grant that the journal found to be used up, which is remembered for those that come after."""
        if len(self._full) >= _MOST:
            self._full.clear()
        self._full.add(full.use)
        left = decision.without({full.use.grant_id})
        if left is None:
            raise refused(asked)
        return left

    def anew(self, decoded: Decoded, full: UsedUp) -> Decoded:
        """The same call, decided anew."""
        authorised = decoded.authorised
        decision = self.narrowed(asked_by(authorised.requested), authorised.decision, full)
        return decoded._replace(authorised=authorised._replace(decision=decision))

    async def again(self, requested: Requested, first: str, now: float) -> tuple[Authorised, tuple[QuotaUse, ...]]:
        """What a repeat of the transfer `first` may see, and what it counts against: grants with a quota that never counted it show it nothing, and
        only where nothing else allows it does it count against them, for the first time."""
        asked = asked_by(requested)
        decision = decide(asked)
        if (
            not decision.limited or requested.operation.pattern is Pattern.SUBMIT
        ):  # the answer to what was handed in is our own word
            return Authorised(requested, decision), ()
        counted = await asyncio.to_thread(self._counted, first)
        left = decision.without({grant.id for grant in decision.limited} - counted)
        if left is not None:
            return Authorised(requested, left), ()
        return Authorised(requested, decision), uses_of(decision, asked.agency, now)

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
            return (
                connection.execute(select(table.id).where(*(column == value for column, value in message))).first()
                is not None
            )

    def _counted(self, transfer: str) -> set[str]:
        """The grants that let a transfer through, as the log has them."""
        with self._engine.connect() as connection:
            for table in tables.LOGS:
                found = connection.scalar(
                    select(table.c.entry).where(table.c.transfer == transfer, table.c.phase == "intent")
                )
                if found is not None:
                    entry = json.loads(bytes(found))
                    return {entry["grant"], *entry.get("also", ())}
        return set()


def asked_by(requested: Requested) -> Asked:
    contract = requested.contract.contract
    return Asked(requested.snapshot, requested.caller.agency, contract, requested.operation.name, requested.received.at)


def decide(asked: Asked) -> Decision:
    """What the grants come to, whatever is counted; a failure where they do not allow it."""
    decision = asked.snapshot.decide(asked.agency, asked.contract.name, asked.operation, asked.at)
    if not decision.allowed:
        raise asked.snapshot.refusal(decision, asked.agency, asked.contract, asked.operation, asked.at)
    return decision


def refused(asked: Asked) -> Policy:
    """The refusal where every grant that allows the call is used up: it names the one that counts anew first."""
    limited = decide(asked).limited
    soonest = min(limited, key=lambda grant: grant.quota.window(asked.at).ends if grant.quota is not None else asked.at)
    snapshot = asked.snapshot
    request = snapshot.request(asked.agency, asked.contract, asked.operation)
    return quota_refusal(soonest, request, snapshot.owner_of(asked.contract), asked.at)


def uses_of(decision: Decision, agency: str, now: float) -> tuple[QuotaUse, ...]:
    """One call by an agency, against each grant that has a quota."""
    return (
        tuple(sorted(use for grant in decision.limited if (use := use_of(grant, agency, now)) is not None))
        if decision.limited
        else ()
    )


def use_of(grant: Grant, agency: str, now: float) -> QuotaUse | None:
    """One call by an agency through a grant; None where the grant has no quota."""
    if grant.quota is None:
        return None
    return QuotaUse(grant.id, agency, grant.quota.per, grant.quota.window(now).begins, grant.quota.calls)


def used(connection: Connection, grant: Grant, agency: str, now: float) -> int:
    """Calls counted so far in the window that runs."""
    use = use_of(grant, agency, now)
    if use is None:
        return 0
    table = tables.quota_use.c
    wanted = (
        (table.grant_id, use.grant_id),
        (table.agency, use.agency),
        (table.per, use.per),
        (table.begins, use.begins),
    )
    return int(connection.scalar(select(table.used).where(*(column == value for column, value in wanted))) or 0)
