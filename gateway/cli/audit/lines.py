"""One entry of the log as a line for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.base.visible import visible

if TYPE_CHECKING:
    from gateway.audit.search.facts import Facts


def line(idx: int | None, facts: Facts, agency: str | None = None) -> str:
    """When (in Vietnam), who, what, how it ended; and the roles of the agency that was searched for."""
    from security.grants.windows import civil

    party = facts.party or facts.doer or "–"
    to = f" → {facts.provider}" if facts.provider else ""
    what = " ".join(each for each in (facts.contract, facts.operation) if each)
    ended = facts.kind if facts.outcome is None else facts.outcome
    code = f": {facts.failure}" if facts.failure else ""
    times = f" × {facts.times}" if facts.times > 1 else ""
    by = f" by {facts.doer}" if facts.doer != (facts.party or facts.doer) else ""
    detail = f"  ({facts.detail})" if facts.detail else ""
    roles = ", ".join(each.role for each in facts.parties if each.agency == agency)
    as_ = f"  [{agency}: {roles}]" if roles else ""
    return visible(
        f"{'–' if idx is None else f'#{idx}':>9}  {civil(facts.at, seconds=True)}  {party}{to} "
        f" {what or facts.kind}  {ended}{code}{times}{by}  {facts.about}{detail}{as_}"
    )
