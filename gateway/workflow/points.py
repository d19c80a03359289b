"""The moments at which something is to be told of a handling: before a deadline, and when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from contracts.workflow.model import Term, Workflow
from contracts.workflow.working_time import Calendar, Pause, deadline, minute_of
from gateway.journal.write import HandlingRow
from gateway.workflow.terms import Moment, pauses_of

NUDGE, ESCALATE = "handling-due", "handling-overdue"  # the kinds of mails


class Point(NamedTuple):
    """When something is to be told of a deadline, and by whose hours."""

    at: int  # Unix seconds
    what: str
    due: int
    calendar: Calendar


def points_of(workflow: Workflow, row: HandlingRow, taken: Sequence[Moment]) -> tuple[Point, ...]:
    """What is to be told of a handling as long as its state stays, in order. `told` of its row counts them."""
    pauses = pauses_of(workflow, taken)
    state = workflow.states[row.state].term
    points: list[Point] = []
    for term, start, due in ((state, row.entered, row.due), (workflow.term, row.opened, row.whole_due)):
        if term is not None and due is not None:
            calendar = workflow.hours[term.hours]
            points += [Point(_nudge_at(calendar, term, start, pauses, due), NUDGE, due, calendar)]
            points += [Point(due, ESCALATE, due, calendar)]
    points = [each for each in points if each.at > row.entered]  # others were told before
    return tuple(sorted(points, key=lambda each: (each.at, each.due, each.what == ESCALATE)))


def is_soon(workflow: Workflow, row: HandlingRow, taken: Sequence[Moment], now: float) -> bool:
    """Whether three quarters of the working minutes of a deadline that runs are used up."""
    pauses, state = pauses_of(workflow, taken), workflow.states[row.state].term
    return any(
        term is not None and due is not None and _nudge_at(workflow.hours[term.hours], term, start, pauses, due) <= now
        for term, start, due in ((state, row.entered, row.due), (workflow.term, row.opened, row.whole_due))
    )


def _nudge_at(calendar: Calendar, term: Term, start: float, pauses: Sequence[Pause], due: int) -> int:
    found = deadline(calendar, minute_of(start), term.soon, pauses).due
    return due if found is None else found * 60
