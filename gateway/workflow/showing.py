"""Handlings as JSON, for the APIs and the command line.

Invariant: a deadline is shown with each stretch of time that counts or not, and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contracts.base.times import rfc3339
from contracts.base.words import Words
from contracts.workflow.model import State, Step
from contracts.workflow.working_time import Deadline
from gateway.journal.write import HandlingRow
from gateway.workflow.reading import Seen, Shown


def is_overdue(row: HandlingRow, now: float) -> bool:
    return not row.ended and row.nearest < now


def listed(row: HandlingRow, now: float) -> dict[str, Any]:
    """A handling in a list."""
    told = {
        "handling": row.id,
        "contract": row.contract,
        "operation": row.operation,
        "transfer": row.transfer,
        "agency": row.agency,
        "sender": f"{row.sender_agency}/{row.sender_system}",
        "kind": row.kind.split(),
        "area": row.area.split(),
        "state": row.state,
        "ended": row.ended,
        "opened": rfc3339(row.opened),
        "entered": rfc3339(row.entered),
        "due": None if row.due is None else rfc3339(row.due),
        "wholeDue": None if row.whole_due is None else rfc3339(row.whole_due),
        "overdue": is_overdue(row, now),
        "mergedInto": row.merged_into,
        "version": row.version,
    }
    return {name: value for name, value in told.items() if value is not None}


def shown(seen: Seen, possible: Iterable[Step], now: float) -> dict[str, Any]:
    """One handling with its steps and deadlines; `possible` are the steps of whoever reads it."""
    state = seen.workflow.states[seen.row.state]
    deadlines = {"state": seen.terms.state, "whole": seen.terms.whole}
    return {
        **listed(seen.row, now),
        "title": both(state.title),
        "shown": state.shown,
        "sound": seen.sound,
        "steps": steps_of(seen),
        "possible": [
            {"step": each.name, "title": both(each.title), "to": each.target, "reason": each.reason}
            for each in possible
        ],
        "deadlines": {name: deadline(each) for name, each in deadlines.items() if each is not None},
    }


def steps_of(seen: Seen) -> list[dict[str, Any]]:
    """Each state that it was in, who brought it there, and why."""
    return [_step(each, seen.workflow.states[each.step.target]) for each in seen.steps]


def deadline(of: Deadline) -> dict[str, Any]:
    stretches = [
        {
            "from": rfc3339(each.start * 60),
            "until": rfc3339(each.end * 60),
            "minutes": each.minutes,
            "counted": each.counted,
            "why": each.why,
            "words": both(each.told),
        }
        for each in of.stretches
    ]
    due = None if of.due is None else rfc3339(of.due * 60)
    return {"from": rfc3339(of.start * 60), "minutes": of.minutes, "due": due, "stretches": stretches}


def both(words: Words) -> dict[str, str]:
    return {"vi": words.vi, "en": words.en}


def _step(each: Shown, state: State) -> dict[str, Any]:
    step = each.step
    told = {
        "number": step.number,
        "step": step.step,
        "from": step.source or None,
        "to": step.target,
        "title": both(state.title),
        "shown": state.shown,
        "party": step.party,
        "agency": step.agency or None,
        "actor": step.actor,
        "reason": each.reason,
        "at": rfc3339(step.at),
        "transfer": step.transfer,
    }
    return {name: value for name, value in told.items() if value is not None}
