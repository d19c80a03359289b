"""A workflow as a JSON value: what its owner approves (article 13.3), and what differs between two of them.

Invariant: two workflows have equal values if and only if they are equal: titles, deadlines, hours and holidays too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from contracts.base.words import Words
from contracts.workflow.model import Term, Workflow
from contracts.workflow.working_time import Calendar

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Difference = tuple[str, Any, Any]  # path, old and new value; None where there is none


def table_of(workflow: Workflow) -> dict[str, Any]:
    """The value, of mappings, lists, texts, whole numbers, truth values and null alone."""
    return {
        "operation": workflow.operation,
        "kind": workflow.kind,
        "area": workflow.area,
        "when": {path: list(values) for path, values in workflow.when.items()},
        "start": workflow.start,
        "term": _term(workflow.term),
        "states": {
            name: {
                "title": _words(each.title),
                "shown": each.shown,
                "term": _term(each.term),
                "pauses": each.pauses,
                "ends": each.ends,
            }
            for name, each in workflow.states.items()
        },
        "steps": {
            name: {
                "title": _words(each.title),
                "from": list(each.sources),
                "to": each.target,
                "by": [party.value for party in each.by],
                "reason": each.reason,
            }
            for name, each in workflow.steps.items()
        },
        "hours": {name: _calendar(each) for name, each in workflow.hours.items()},
    }


def differing(old: Mapping[str, Any], new: Mapping[str, Any], at: str = "") -> Iterator[Difference]:
    """The leaves that differ, by path in the order of their names. Of what one side lacks, the whole is one leaf."""
    for name in sorted({*old, *new}):
        one, other, path = old.get(name), new.get(name), f"{at}{name}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from differing(one, other, f"{path}.")
        elif one != other:
            yield path, one, other


def _words(words: Words) -> dict[str, str]:
    return {"vi": words.vi, "en": words.en}


def _term(term: Term | None) -> dict[str, Any] | None:
    return None if term is None else {"minutes": term.minutes, "hours": term.hours}


def _calendar(calendar: Calendar) -> dict[str, Any]:
    return {
        "title": _words(calendar.title),
        "week": {
            _DAYS[day]: [f"{_time(opens)}-{_time(closes)}" for opens, closes in periods]
            for day, periods in calendar.hours.items()
        },
        "holidays": {day.isoformat(): _words(name) for day, name in calendar.holidays.items()},
        "working_days": {day.isoformat(): _words(name) for day, name in calendar.working_days.items()},
        "offset": calendar.offset,
    }


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
