"""The failures for access decisions that refuse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from contracts.base.errors import Policy
from contracts.base.words import Words
from security.errors import (
    ACCESS_DENIED,
    ACCESS_EXPIRED,
    ACCESS_NO_CONTRACT,
    ACCESS_NO_GRANT,
    ACCESS_NO_OPERATION,
    ACCESS_NOT_APPROVED,
    ACCESS_NOT_YET_VALID,
    ACCESS_OUT_OF_HOURS,
    ACCESS_QUOTA,
    ACCESS_SUSPENDED,
)
from security.grants.grants import OFFICERS, Decision, Grant, Reason, Request
from security.grants.windows import civil, words

_REFUSALS: Final = {
    Reason.NO_GRANT: ACCESS_NO_GRANT,
    Reason.NO_CONTRACT: ACCESS_NO_CONTRACT,
    Reason.NO_OPERATION: ACCESS_NO_OPERATION,
    Reason.EXPIRED: ACCESS_EXPIRED,
    Reason.NOT_YET_VALID: ACCESS_NOT_YET_VALID,
    Reason.SUSPENDED: ACCESS_SUSPENDED,
    Reason.NOT_APPROVED: ACCESS_NOT_APPROVED,
    Reason.OUT_OF_HOURS: ACCESS_OUT_OF_HOURS,
    Reason.DENIED: ACCESS_DENIED,
}


def refusal(
    decision: Decision, request: Request, ask: Words, now: float, notice: Mapping[str, Any] | None = None
) -> Policy:
    """The failure for a refusing decision.

    `ask` names the contact, `notice` why and since when a grant is suspended.
    """
    nearest = decision.nearest
    facts: dict[str, Any] = {}
    retry = None
    if nearest is not None:
        facts = _nearest(nearest)
        if decision.reason is Reason.OUT_OF_HOURS and nearest.hours is not None:
            opens = nearest.hours.next_open(now)
            facts |= {"hours": str(nearest.hours), "opens": civil(opens) if opens < nearest.valid_until else "—"}
            retry = math.ceil(opens - now) if opens < nearest.valid_until else None
    return _REFUSALS[decision.reason](retry_after=retry, **_facts_of(request, ask), **facts, **(notice or {}))


def why_not_received(decision: Decision, request: Request) -> Words:
    """Why a refusing decision lets nobody of the agency receive: half a sentence."""
    facts: dict[str, Any] = {"contract": request.contract, "operation": request.operation}
    if decision.nearest is not None:
        facts |= _nearest(decision.nearest) | {"confirm_until": civil(decision.nearest.confirm_until)}
    return words(f"receiving.{decision.reason}", **facts)


def _nearest(grant: Grant) -> dict[str, Any]:
    return {
        "grant": grant.id,
        "valid_from": civil(grant.valid_from),
        "valid_until": civil(grant.valid_until),
        "lacking": OFFICERS - min(OFFICERS, len(set(grant.approved_by))),
    }


def quota_refusal(grant: Grant, request: Request, ask: Words, now: float) -> Policy:
    """The failure when every allowing quota is exhausted; `grant` is the first to restart."""
    assert grant.quota is not None
    ends = grant.quota.window(now).ends
    return ACCESS_QUOTA(
        retry_after=max(1, math.ceil(ends - now)),
        grant=grant.id,
        calls=grant.quota.calls,
        per=words(f"period.{grant.quota.per}"),
        left=0,
        opens=civil(ends),
        **_facts_of(request, ask),
    )


def _facts_of(request: Request, ask: Words) -> dict[str, Any]:
    return {"agency": request.agency, "contract": request.contract, "operation": request.operation, "ask": ask}
