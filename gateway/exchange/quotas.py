"""Enforces quotas of grants: an early check, and counts in the intent's own transaction.

A call counts against each grant with a quota that allows it. A grant whose quota is used up is left out for the rest of
its window. The call is refused only when no grant is left, until the first window ends.
Invariant: counts are exact over all doors and restarts. A call counts when its intent is committed, in the same
  transaction.
Invariant: repeats of a message count once. A repeat gets its stored answer even if the quotas are used up meanwhile,
  masked by the grants that counted it.
Invariant: the early check only saves work. What it passes is still counted, and what it refuses the count would refuse:
  a full window stays full.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select, text

from contracts.base.errors import Failure, Policy
from contracts.canonical.model import Contract, Pattern
from gateway.exchange.errors import SANDBOX_BYTES, SANDBOX_QUOTA
from gateway.journal.schema import tables
from gateway.journal.write import QuotaUse
from gateway.registry.snapshot import Snapshot
from gateway.registry.tenants import POLICY, is_tenant
from gateway.settings import Settings
from gateway.transfer.stages import Authorised, Decoded, Requested
from security.grants.grants import Decision, Grant
from security.grants.refusals import quota_refusal
from security.grants.windows import Quota, civil, words

ACTS: Final = "sandbox-acts"  # what a tenant does beside its messages; the log does not count it
BYTES: Final = "sandbox-bytes"
OF_DESK: Final = 2  # what an act at the desk counts: it changes the registry, or begins a run
_MOST: Final = 10_000
_COUNT: Final = text(
    "INSERT INTO quota_use (grant_id, agency, per, begins, used) VALUES (:grant_id, :agency, :per, :begins, :size)"
    " ON CONFLICT (grant_id, agency, per, begins) DO UPDATE SET used = quota_use.used + excluded.used"
    " WHERE quota_use.used + excluded.used <= :most RETURNING used"
)


class UsedUp(Exception):
    """The journal found a quota used up and wrote nothing."""

    def __init__(self, use: QuotaUse | None) -> None:
        super().__init__()
        assert use is not None  # the verdict FULL names it
        self.use: Final = use


class VendorLimits(NamedTuple):
    """Calls of one tenant of a sandbox in a minute and a day, over all its grants, and bytes of files a day; 0: no
    limit. What it does beside its messages has as many in a count of its own (`spend`).
    """

    minute: int = 0
    day: int = 0
    bytes: int = 0

    def uses(self, agency: str, now: float) -> tuple[QuotaUse, ...]:
        """One call of an agency; none of an agency that is no tenant."""
        if not is_tenant(agency):
            return ()
        limits = ((self.minute, "minute"), (self.day, "day"))
        return tuple(
            QuotaUse(POLICY, agency, per, Quota(calls, per).window(now).begins, calls) for calls, per in limits if calls
        )

    @classmethod
    def of(cls, settings: Settings) -> VendorLimits:
        return cls(settings.sandbox_vendor_minute, settings.sandbox_vendor_day, settings.sandbox_vendor_bytes)

    def acts(self, agency: str, now: float) -> tuple[QuotaUse, ...]:
        """One act of a tenant beside its messages."""
        return tuple(each._replace(grant_id=ACTS) for each in self.uses(agency, now))

    def spend(self, connection: Connection, agency: str, now: float, cost: int = 1) -> None:
        """Counts an act of a tenant in a writing transaction. Raises `sandbox.quota`. Others are not counted."""
        for use in self.acts(agency, now):
            if not _counted(connection, use, cost):
                raise vendor_refused(use, now)

    def keep(self, connection: Connection, agency: str, now: float, size: int) -> None:
        """Counts bytes that a tenant wants to be kept. Raises `sandbox.bytes`."""
        if not is_tenant(agency) or not self.bytes:
            return
        window = Quota(self.bytes, "day").window(now)
        if not _counted(connection, QuotaUse(BYTES, agency, "day", window.begins, self.bytes), size):
            ends = math.ceil(window.ends - now)
            raise SANDBOX_BYTES(agency=agency, most=self.bytes, opens=civil(window.ends), retry_after=max(1, ends))


def _counted(connection: Connection, use: QuotaUse, size: int) -> bool:
    """Whether it still fits."""
    if size > use.limit:
        return False
    values = {**use._asdict(), "size": size, "most": use.limit}
    del values["limit"]
    return connection.execute(_COUNT, values).first() is not None


NO_LIMITS: Final = VendorLimits()


class GrantQuery(NamedTuple):
    """The call as the grants see it. `at` is Unix time."""

    snapshot: Snapshot
    agency: str
    contract: Contract
    operation: str
    at: float

    @property
    def ahead(self) -> int:
        """Seconds by which the agency's own clock is ahead: the windows of its grants are those of that clock."""
        return self.snapshot.ahead(self.agency)


class Quotas:
    """The used-up quotas that one process knows."""

    def __init__(self, engine: Engine, vendors: VendorLimits = NO_LIMITS) -> None:
        self._engine: Final = engine
        self.vendors: Final = vendors
        self._full: set[QuotaUse] = set()

    async def precheck(self, authorised: Authorised) -> Authorised:
        """Leaves out grants known to be used up. Refuses if none is left, unless the message is a repeat."""
        if not self._full:
            return authorised
        query = grant_query(authorised.requested)
        full = next((use for use in self.vendors.uses(query.agency, query.at) if use in self._full), None)
        if full is not None and not await asyncio.to_thread(self.exists, authorised.requested):
            raise vendor_refused(full, query.at)
        if not authorised.decision.limited:
            return authorised
        left = self.without_full(query, authorised.decision)
        if left is not None:
            return authorised._replace(decision=left)
        if not await asyncio.to_thread(self.exists, authorised.requested):
            raise refused(query)
        return authorised

    def without_full(self, query: GrantQuery, decision: Decision) -> Decision | None:
        """The decision without the grants known to be used up; None if no grant is left."""
        if not self._full:
            return decision
        return decision.without(
            {use.grant_id for use in uses_of(decision, query.agency, query.at, ahead=query.ahead) if use in self._full}
        )

    def without(self, query: GrantQuery, decision: Decision, full: UsedUp) -> Decision:
        """Remembers the used-up grant and returns the decision without it."""
        if len(self._full) >= _MOST:
            self._full.clear()
        self._full.add(full.use)
        if full.use.grant_id == POLICY:
            raise vendor_refused(full.use, query.at)
        left = decision.without({full.use.grant_id})
        if left is None:
            raise refused(query)
        return left

    def decide_again(self, decoded: Decoded, full: UsedUp) -> Decoded:
        authorised = decoded.authorised
        decision = self.without(grant_query(authorised.requested), authorised.decision, full)
        return decoded._replace(authorised=authorised._replace(decision=decision))

    async def decide_repeat(
        self, requested: Requested, first: str, now: float
    ) -> tuple[Authorised, tuple[QuotaUse, ...]]:
        """What a repeat of the transfer `first` may see, and the uses that it counts.

        A grant with a quota that did not count the first call shows nothing. If no other grant allows the repeat, the
        repeat counts.
        """
        query = grant_query(requested)
        decision = decide(query)
        if not decision.limited or requested.operation.pattern is Pattern.SUBMIT:  # the answer is the gateway's own
            return Authorised(requested, decision), ()
        counted = await asyncio.to_thread(self._counted, first)
        left = decision.without({grant.id for grant in decision.limited} - counted)
        if left is not None:
            return Authorised(requested, left), ()
        return Authorised(requested, decision), uses_of(decision, query.agency, now, ahead=query.ahead)

    def exists(self, requested: Requested) -> bool:
        """Whether a transfer of this message exists."""
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
        """The grants named in the logged intent of a transfer."""
        with self._engine.connect() as connection:
            for table in tables.LOGS:
                entry_bytes = connection.scalar(
                    select(table.c.entry).where(table.c.transfer == transfer, table.c.phase == "intent")
                )
                if entry_bytes is not None:
                    entry = json.loads(bytes(entry_bytes))
                    return {entry["grant"], *entry.get("also", ())}
        return set()


def grant_query(requested: Requested) -> GrantQuery:
    contract = requested.contract.contract
    return GrantQuery(
        requested.snapshot, requested.caller.agency, contract, requested.operation.name, requested.received.at
    )


def decide(query: GrantQuery) -> Decision:
    """The decision of the grants before quotas. Raises the refusal if they do not allow the call."""
    decision = query.snapshot.decide(query.agency, query.contract.name, query.operation, query.at)
    if not decision.allowed:
        raise query.snapshot.refusal(decision, query.agency, query.contract, query.operation, query.at)
    return decision


def refused(query: GrantQuery) -> Policy:
    """The refusal when all quotas are used up. It names the grant whose window ends first."""
    limited = decide(query).limited
    at = query.at + query.ahead
    soonest = min(limited, key=lambda grant: grant.quota.window(at).ends if grant.quota is not None else at)
    snapshot = query.snapshot
    request = snapshot.request(query.agency, query.contract, query.operation)
    return quota_refusal(soonest, request, snapshot.owner_of(query.contract, query.agency), at)


def vendor_refused(use: QuotaUse, now: float) -> Failure:
    """The refusal of a tenant that has used up its calls."""
    ends = Quota(use.limit, use.per).window(now).ends
    return SANDBOX_QUOTA(
        retry_after=max(1, math.ceil(ends - now)),
        agency=use.agency,
        calls=use.limit,
        per=words(f"period.{use.per}"),
        opens=civil(ends),
    )


def uses_of(
    decision: Decision, agency: str, now: float, vendors: VendorLimits = NO_LIMITS, ahead: int = 0
) -> tuple[QuotaUse, ...]:
    """One call of an agency, counted against each grant that has a quota, and against the limits of a tenant. Grants
    count by the agency's own clock, which may be `ahead`; the limits of a tenant by real time.
    """
    uses = vendors.uses(agency, now)
    if decision.limited:
        uses += tuple(use for grant in decision.limited if (use := use_of(grant, agency, now + ahead)) is not None)
    return tuple(sorted(uses))


def use_of(grant: Grant, agency: str, now: float) -> QuotaUse | None:
    """One call of an agency through a grant; None if the grant has no quota."""
    if grant.quota is None:
        return None
    return QuotaUse(grant.id, agency, grant.quota.per, grant.quota.window(now).begins, grant.quota.calls)


def used(connection: Connection, grant: Grant, agency: str, now: float) -> int:
    """Calls counted so far in the current window."""
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
