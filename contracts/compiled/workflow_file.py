"""Reads workflow.yaml: how the messages of one operation are handled, and the working hours of its deadlines.

Invariant: a workflow without findings is complete: no state is unreachable, none is without a way to an end, and each
deadline fits into its hours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Final, TypeVar

from contracts.base.words import Words
from contracts.canonical.code_tables import is_day
from contracts.canonical.model import CodeTable, Struct
from contracts.canonical.places import Places, scalar_at
from contracts.compiled.source import IDENTIFIER, FieldReader, Source
from contracts.folder.bundle import Bundle
from contracts.folder.source_locations import Path, read_yaml
from contracts.workflow.model import Party, State, Step, Term, Workflow
from contracts.workflow.working_time import DAY, Calendar, Periods

FILE: Final = "workflow.yaml"
MOST_STATES: Final = 40
MOST_STEPS: Final = 120
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_YEAR: Final = 52  # weeks of working time that a deadline has at most, so that holidays never use up its horizon
_LEAST: Final = 60  # working minutes of a week
T = TypeVar("T")


def read_workflow(source: Source, bundle: Bundle) -> Workflow | None:
    """The workflow; None if the contract has none, or if it could not be read. Needs `source.contract`."""
    if FILE not in bundle.files or source.contract is None:
        return None
    document = read_yaml(FILE, bundle.files[FILE], source.findings)
    if document is None:
        return None
    before = len(source.findings.items)
    read = FieldReader(document, source.findings)
    read.only((), {"operation", "when", "kind", "area", "start", "term", "hours", "states", "steps"})
    operation = source.contract.operations.get(read.text(("operation",)))
    if operation is None or not operation.fed:  # handlings are opened from the feed
        expected = "an operation that submits, or dispatches with `feed: true`"
        read.bad(("operation",), repr(read.get(("operation",)))[:60], expected)
    message = None if operation is None else source.messages.get(operation.request)
    for word in ("kind", "area"):
        path = read.get((word,))
        if path is None and word == "area" or message is None:
            continue
        place = Places(message).get(str(path))
        scalar = None if place is None else scalar_at(place, str(path))
        if scalar is None or scalar.kind != "string" or scalar.binary:
            read.bad((word,), repr(path)[:60], f"the path of a text or code of {message.name}")
    when = {} if message is None else _when(read, message)
    hours = _mapping(read, ("hours",), "hours of work", lambda at, name: _calendar(read, at, source.tables))
    states = _mapping(read, ("states",), "states", lambda at, name: _state(read, at, name, hours))
    steps = _mapping(read, ("steps",), "steps", lambda at, name: _step(read, at, name, states))
    start = read.text(("start",))
    if start not in states or states[start].ends:
        read.bad(("start",), repr(start), "a state that does not end the handling")
    for what, most, has in (("states", MOST_STATES, states), ("steps", MOST_STEPS, steps)):
        if len(has) > most:
            read.bad((what,), f"{len(has)} of them", f"at most {most}")
    if len(source.findings.items) == before:
        _ways(read, start, states, steps.values())
    area = read.get(("area",))
    term = _term(read, ("term",), hours)
    if len(source.findings.items) > before or operation is None:
        return None
    return Workflow(
        operation=operation.name,
        kind=read.text(("kind",)),
        area=None if area is None else str(area),
        start=start,
        term=term,
        states=states,
        steps=steps,
        hours=hours,
        when=when,
    )


def _when(read: FieldReader, message: Struct) -> dict[str, tuple[str, ...]]:
    """The values that fields of a message need, so that it is handled."""
    declared = read.get(("when",))
    if declared is not None and (not isinstance(declared, dict) or not declared):
        read.bad(("when",), repr(declared)[:60], "fields and their values")
    when: dict[str, tuple[str, ...]] = {}
    for path, values in declared.items() if isinstance(declared, dict) else ():
        place = Places(message).get(str(path))
        scalar = None if place is None or "[]" in str(path) else scalar_at(place, str(path))
        if scalar is None or scalar.kind != "string" or not isinstance(values, list) or not values:
            read.bad(("when", str(path)), repr(values)[:60], "the path of a single text, and a list of its values")
        elif scalar.values and not {str(each) for each in values} <= set(scalar.values):
            read.bad(("when", str(path)), repr(values)[:60], "values that the schema allows")
        else:
            when[str(path)] = tuple(str(each) for each in values)
    return when


def _mapping(read: FieldReader, at: Path, what: str, one: Callable[[Path, str], T]) -> dict[str, T]:
    value = read.get(at)
    if not isinstance(value, dict) or not value:
        read.bad(at, repr(value)[:60], f"at least one of {what}")
        return {}
    read_ = {}
    for name in value:
        if not isinstance(name, str) or IDENTIFIER.fullmatch(name) is None:
            read.bad((*at, str(name)), repr(name)[:60], f"a name of the shape {IDENTIFIER.pattern}")
            continue
        read_[name] = one((*at, name), name)
    return read_


def _state(read: FieldReader, at: Path, name: str, hours: Mapping[str, Calendar]) -> State:
    read.only(at, {"title", "shown", "term", "pauses", "ends"})
    shown = read.text((*at, "shown"))
    if shown not in ("open", "closed"):
        read.bad((*at, "shown"), repr(shown), "open or closed")
    pauses, ends = _flag(read, (*at, "pauses")), _flag(read, (*at, "ends"))
    if pauses and ends:
        read.bad((*at, "pauses"), "a state that ends and pauses", "one of them")
    term = _term(read, (*at, "term"), hours)
    if ends and term is not None:
        read.bad((*at, "term"), "a deadline of a state that ends the handling", "none")
    return State(
        name=name,
        title=read.words((*at, "title")),
        shown="closed" if shown == "closed" else "open",
        term=term,
        pauses=pauses,
        ends=ends,
    )


def _step(read: FieldReader, at: Path, name: str, states: Mapping[str, State]) -> Step:
    read.only(at, {"title", "from", "to", "by", "reason"})
    sources = _names(read, (*at, "from"), states, "states of this file")
    target = read.text((*at, "to"))
    if target not in states:
        read.bad((*at, "to"), repr(target), "a state of this file")
    by = _names(read, (*at, "by"), {each.value: each for each in Party}, ", ".join(Party))
    return Step(
        name=name,
        title=read.words((*at, "title")),
        sources=sources,
        target=target,
        by=tuple(Party(each) for each in by),
        reason=_flag(read, (*at, "reason")),
    )


def _names(read: FieldReader, at: Path, known: Mapping[str, object], expected: str) -> tuple[str, ...]:
    value = read.get(at)
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each in known for each in value):
        read.bad(at, repr(value)[:60], f"a list of {expected}")
        return ()
    return tuple(dict.fromkeys(value))


def _flag(read: FieldReader, at: Path) -> bool:
    value = read.get(at)
    if value not in (None, True, False):
        read.bad(at, repr(value)[:60], "true or false")
    return value is True


def _term(read: FieldReader, at: Path, hours: Mapping[str, Calendar]) -> Term | None:
    if read.get(at) is None:
        return None
    read.only(at, {"minutes", "hours"})
    name, minutes = read.text((*at, "hours")), read.get((*at, "minutes"))
    if name not in hours:
        read.bad((*at, "hours"), repr(name), "one of " + ", ".join(hours))
        return None
    most = hours[name].weekly * _YEAR
    if isinstance(minutes, bool) or not isinstance(minutes, int) or not 1 <= minutes <= most:
        read.bad((*at, "minutes"), repr(minutes)[:60], f"whole minutes, 1 to {most}: a year of these hours")
        return None
    return Term(minutes, name)


def _calendar(read: FieldReader, at: Path, tables: Mapping[str, CodeTable]) -> Calendar:
    read.only(at, {"title", "week", "holidays", "working_days"})
    hours: dict[int, Periods] = {}
    week = read.get((*at, "week"))
    for span in week if isinstance(week, dict) else ():
        days = _weekdays(str(span))
        if not days or any(day in hours for day in days):
            read.bad((*at, "week", str(span)), repr(span), "days as mon or mon-fri, each once")
        hours |= dict.fromkeys(days, _periods(read, (*at, "week", str(span))))
    calendar = Calendar(
        title=read.words((*at, "title")),
        hours=hours,
        holidays=_dates(read, (*at, "holidays"), tables),
        working_days=_dates(read, (*at, "working_days"), tables),
    )
    if calendar.weekly < _LEAST:
        read.bad((*at, "week"), f"{calendar.weekly} minutes", f"at least {_LEAST} working minutes a week")
    return calendar


def _weekdays(span: str) -> range:
    """`mon` or `mon-fri` as numbers; empty for anything else."""
    first, _, last = span.partition("-")
    if first not in _DAYS or (last or first) not in _DAYS:
        return range(0)
    return range(_DAYS.index(first), _DAYS.index(last or first) + 1)


def _periods(read: FieldReader, at: Path) -> Periods:
    value = read.get(at)
    periods: list[tuple[int, int]] = []
    end = -1
    for each in value if isinstance(value, list) else ():
        match = _SPAN.fullmatch(each) if isinstance(each, str) else None
        numbers = [int(part) for part in match.groups()] if match else []
        opens, closes = (numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]) if numbers else (0, 0)
        if not end < opens < closes <= DAY:
            read.bad(at, repr(each)[:60], "periods as 07:30-11:30, in order and at least a minute apart")
            return ()
        periods.append((opens, closes))
        end = closes
    if not isinstance(value, list):
        read.bad(at, repr(value)[:60], "a list of periods as 07:30-11:30")
    return tuple(periods)


def _dates(read: FieldReader, at: Path, tables: Mapping[str, CodeTable]) -> dict[date, Words]:
    """The days of a code table whose codes are dates."""
    name = read.get(at)
    if name is None:
        return {}
    table = tables.get(str(name))
    if table is None or not all(is_day(row.code) for row in table.rows):
        read.bad(at, repr(name)[:60], "a code table whose codes are days, as 2026-02-17")
        return {}
    return {date.fromisoformat(row.code): Words(row.vi, row.en) for row in table.rows}


def _ways(read: FieldReader, start: str, states: Mapping[str, State], steps: Iterable[Step]) -> None:
    """Findings for states that nothing leads to, and for those that lead to no end."""
    forward: dict[str, set[str]] = {name: set() for name in states}
    back: dict[str, set[str]] = {name: set() for name in states}
    for step in steps:
        for each in step.sources:
            forward[each].add(step.target)
            back[step.target].add(each)
    reached, ending = _reached({start}, forward), _reached({name for name in states if states[name].ends}, back)
    for name in states:
        if name not in reached:
            read.bad(("states", name), "a state that no step leads to", "a step to it")
        elif name not in ending:
            read.bad(("states", name), "a state from which no end can be reached", "steps to a state that ends")


def _reached(begin: set[str], ways: Mapping[str, set[str]]) -> set[str]:
    reached, left = set(begin), list(begin)
    while left:
        for name in ways[left.pop()] - reached:
            reached.add(name)
            left.append(name)
    return reached
