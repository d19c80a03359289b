"""One entry of the log as a line for a person and as an object for a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.base.visible import visible

if TYPE_CHECKING:
    from gateway.audit.search.facts import Facts


def line(idx: int | None, told: Facts) -> str:
    """When (in Vietnam), who, what, how it ended."""
    from security.grants.windows import civil

    who = f"{told.agency}/{told.system}" if told.system else told.actor or told.source or "–"
    to = f" → {told.provider}" if told.provider else ""
    what = " ".join(each for each in (told.contract, told.operation) if each)
    ended = told.kind if told.outcome is None else told.outcome
    code = f": {told.failure}" if told.failure else ""
    times = f" × {told.times}" if told.times > 1 else ""
    by = f" by {told.actor}" if told.actor and told.system and told.actor != f"{told.agency}/{told.system}" else ""
    detail = f"  ({told.detail})" if told.detail else ""
    return visible(
        f"{'–' if idx is None else f'#{idx}':>9}  {civil(told.at, seconds=True)}  {who}{to} "
        f" {what or told.kind}  {ended}{code}{times}{by}  {told.about}{detail}"
    )


def as_json_object(told: Facts) -> dict[str, Any]:
    return {name: value for name, value in told.named().items() if value is not None and (name, value) != ("times", 1)}
