"""The grants that an agency holds, and what they decide by its clock and by real time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from security.grants.grants import Decision, Grant, GrantIndex, Reason, Request


@dataclass(frozen=True, slots=True)
class AgencyGrants:
    """The grants of an agency and its roles, for asking and for receiving.

    `ahead`: seconds by which the agency's own clock is ahead. What both clocks allow is allowed, so a clock that was
    moved only takes away: nothing begins earlier, and no prohibition ends earlier.
    """

    asking: GrantIndex
    receiving: GrantIndex
    ahead: int = 0

    @classmethod
    def of(cls, grants: Iterable[Grant], ahead: int = 0) -> AgencyGrants:
        every = tuple(grants)
        return cls(
            GrantIndex.of(grant for grant in every if not grant.receives),
            GrantIndex.of(grant for grant in every if grant.receives),
            ahead,
        )

    @property
    def grants(self) -> tuple[Grant, ...]:
        return self.asking.grants + self.receiving.grants

    def decide(self, contract: str, operation: str, now: float) -> Decision:
        return self._by_both(self.asking, contract, operation, now)

    def decide_receiving(self, contract: str, operation: str, now: float) -> Decision:
        return self._by_both(self.receiving, contract, operation, now)

    def refused_at(self, decision: Decision, now: float) -> float:
        """By which clock hours refused: the agency's own, where they are open in real time."""
        hours = decision.nearest.hours if decision.nearest is not None else None
        return now + self.ahead if hours is not None and hours.holds(now) else now

    def _by_both(self, index: GrantIndex, contract: str, operation: str, now: float) -> Decision:
        decision = index.decide(contract, operation, now)
        if not self.ahead or not decision.allowed:
            return decision
        own = index.decide(contract, operation, now + self.ahead)
        if not own.allowed:
            return own
        ended = {grant.id for grant in decision.through} - {grant.id for grant in own.through}
        return decision.without(ended) or Decision(False, Reason.EXPIRED, nearest=decision.grant)


def decide(grants: Iterable[Grant], request: Request, now: float) -> Decision:
    """Of several allowing grants, the agency's precedes a role's, then the newest, then the lowest id."""
    own = [
        grant
        for grant in grants
        if grant.agency == request.agency or grant.role is not None and grant.role in request.roles
    ]
    held = AgencyGrants.of(own)
    return (held.receiving if request.receives else held.asking).decide(request.contract, request.operation, now)
