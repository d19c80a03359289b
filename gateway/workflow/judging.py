"""Judges a step that somebody wants to take: who he is to the handling, and whether the workflow permits it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from contracts.workflow.model import Party, State, Step, Workflow
from gateway.journal.write import HandlingRow
from gateway.workflow.errors import (
    HANDLING_BAD_REASON,
    HANDLING_NO_REASON,
    HANDLING_NO_TARGET,
    HANDLING_TOO_MANY_STEPS,
    HANDLING_UNKNOWN,
)
from gateway.workflow.records import FORWARD, GATEWAY, LONGEST_REASON, MERGE, Actor, Wanted

# Controls but tab and line ends, marks that turn the direction of text, halves of characters.
_UNSEEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


MOST_STEPS: Final = 500  # of a handling: each step reads those before


class Judged(NamedTuple):
    """A step that is permitted."""

    state: State
    party: Party


def parties(row: HandlingRow, actor: Actor) -> tuple[Party, ...]:
    """What somebody is to a handling: an agency may be several."""
    if actor is GATEWAY:
        return (Party.GATEWAY,)
    known = (
        (Party.AGENCY, actor.agency == row.agency),
        (Party.SENDER, actor.agency == row.sender_agency),
        (Party.CENTRE, actor.centre),
    )
    return tuple(party for party, is_one in known if is_one)


def check_reason(step: str, needed: bool, reason: str) -> None:
    """Raises: handling.no-reason; handling.bad-reason for characters that nobody sees, or that XML cannot carry."""
    if needed and not reason.strip() or len(reason) > LONGEST_REASON:
        raise HANDLING_NO_REASON(step=step, most=LONGEST_REASON)
    if _UNSEEN.search(reason):
        raise HANDLING_BAD_REASON(step=step)


def judge(workflow: Workflow, row: HandlingRow, wanted: Wanted, actor: Actor) -> Judged:
    """Raises: handling.unknown for whoever has no part in it, handling.no-reason, handling.bad-reason,
    handling.no-target, handling.too-many-steps, workflow.no-step, workflow.not-now, workflow.other-party.
    """
    who = parties(row, actor)
    if not who:
        raise HANDLING_UNKNOWN(handling=row.id)
    step = workflow.steps.get(wanted.step)
    party = next((each for each in who if step is not None and each in step.by), who[0])
    state = workflow.take(row.state, wanted.step, party)
    assert step is not None
    check_reason(wanted.step, step.reason, wanted.reason)
    for name, needed, given in ((FORWARD, "to", wanted.to), (MERGE, "into", wanted.into)):
        if (wanted.step == name) != (given is not None):
            raise HANDLING_NO_TARGET(step=wanted.step, field=needed)
    if not _is_within_bound(workflow, row, state.name, party):
        raise HANDLING_TOO_MANY_STEPS(handling=row.id, most=MOST_STEPS, step=wanted.step)
    return Judged(state, party)


def possible(workflow: Workflow, row: HandlingRow, who: Sequence[Party]) -> tuple[Step, ...]:
    """The steps that one of these parties can take now."""
    taken = ((step, next((each for each in who if each in step.by), None)) for step in workflow.possible(row.state))
    return tuple(
        step for step, party in taken if party is not None and _is_within_bound(workflow, row, step.target, party)
    )


def _is_within_bound(workflow: Workflow, row: HandlingRow, target: str, party: Party) -> bool:
    """Whether a handling has few enough steps for one more to this state."""
    return row.version < MOST_STEPS or party is Party.GATEWAY or _leads_on(workflow, row, target)


def _leads_on(workflow: Workflow, row: HandlingRow, target: str) -> bool:
    """Whether a state is nearer to one of the ends; after as many steps as there are states, to the nearest of them.
    What has ended stays so.
    """
    ends = [name for name, each in workflow.states.items() if each.ends]
    each_of_them = row.version < MOST_STEPS + len(workflow.states)
    goals = [{each} for each in ends] if each_of_them else [set(ends)]
    return row.state not in ends and any(_is_nearer(workflow, row.state, target, goal) for goal in goals)


def _is_nearer(workflow: Workflow, source: str, target: str, goal: set[str]) -> bool:
    """Whether the second state is fewer steps from these than the first one."""
    reached: set[str] = set()
    near = goal
    while near and source not in near:
        if target in near:
            return True
        reached |= near
        near = {each for step in workflow.steps.values() if step.target in near for each in step.sources} - reached
    return False
