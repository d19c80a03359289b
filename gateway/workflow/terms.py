"""Computes the deadlines of a handling in working time, and explains them minute by minute.

Invariant: no deadline runs while the state pauses, nor after the handling has ended until it is opened again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from contracts.workflow.model import Term, Workflow
from contracts.workflow.working_time import Deadline, Pause, deadline, minute_of


class Moment(NamedTuple):
    """A step, as far as deadlines follow from it: `entered` is whether its state was entered by it."""

    at: float
    state: str
    entered: bool = True


class Terms(NamedTuple):
    """The deadline of the state, and that of the whole. None: there is none, or none can be said."""

    state: Deadline | None
    whole: Deadline | None

    @property
    def due(self) -> int | None:
        """In Unix seconds; None while it pauses."""
        return _seconds(self.state)

    @property
    def whole_due(self) -> int | None:
        return _seconds(self.whole)


def terms_of(workflow: Workflow, moments: Sequence[Moment]) -> Terms:
    """The deadlines after these steps; the first one opened the handling."""
    state = workflow.states[moments[-1].state]
    if state.ends:
        return Terms(None, None)
    pauses = pauses_of(workflow, moments)
    entered = next(each.at for each in reversed(moments) if each.entered)
    return Terms(
        _deadline(workflow, state.term, entered, pauses), _deadline(workflow, workflow.term, moments[0].at, pauses)
    )


def pauses_of(workflow: Workflow, moments: Sequence[Moment]) -> tuple[Pause, ...]:
    """The times in which no deadline runs. The last one may have no end yet."""
    pauses: list[Pause] = []
    begun: int | None = None
    for each in moments:
        state, minute = workflow.states[each.state], minute_of(each.at)
        rests = state.pauses or state.ends
        if rests and begun is None:
            begun = minute
        elif not rests and begun is not None:
            pauses.append(Pause(begun, minute))
            begun = None
    return (*pauses, *(() if begun is None else (Pause(begun),)))


def _deadline(workflow: Workflow, term: Term | None, start: float, pauses: Sequence[Pause]) -> Deadline | None:
    if term is None:
        return None
    try:
        return deadline(workflow.hours[term.hours], minute_of(start), term.minutes, pauses)
    except ValueError:  # it paused for years
        return None


def _seconds(deadline: Deadline | None) -> int | None:
    return None if deadline is None or deadline.due is None else deadline.due * 60
