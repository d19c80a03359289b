"""Counts the entries of the log in a period, in one pass.

An entry belongs to the day in Vietnam of the time in its transfer's id (UUIDv7). What became of a transfer is what its
entries say: its last outcome, or a doubt, or nothing yet.

Invariant: only entries of the log are counted that have an index below the given size, and those of logs that ended.
Invariant: memory depends on agencies, systems, contracts and days, never on the number of entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection, select, union_all

from contracts.base.ids import arrived
from gateway.audit.search.fields import text_in
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.scorecards.counts import faulty
from gateway.scorecards.figures import HOUR, HOURS, Span
from gateway.transfer.provider_agencies import agency_of, old_agencies

State = Literal["done", "failed", "in-doubt", "open"]
_TRIES: Final = frozenset({"queued", "try-failed"})
_READ: Final = "feed-read"
_AT_ONCE: Final = 5000


class Flow(NamedTuple):
    """What transfers have in common. `provider` and its agency are empty if no system was called."""

    agency: str
    system: str
    provider_agency: str
    provider: str
    contract: str
    operation: str
    state: State


@dataclass(slots=True)
class Fault:
    """Calls of a system that failed by its fault. `hours` are counted from the begin of the period."""

    transfers: int = 0
    hours: set[int] = field(default_factory=set)
    first: str = "9"
    last: str = ""


@dataclass(slots=True)
class Tally:
    """`agency`: only what concerns it is counted, and no notes of others. `days`: done, other transfers, refusals."""

    span: Span
    agency: str
    entries: Counter[str] = field(default_factory=Counter)  # by kind
    flows: Counter[Flow] = field(default_factory=Counter)
    days: dict[int, list[int]] = field(default_factory=dict)
    refusals: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by agency, contract, code
    repeats: Counter[str] = field(default_factory=Counter)  # by agency
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)  # ended transfers, by provider and code
    faults: dict[str, Fault] = field(default_factory=dict)  # by provider
    reads: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # events, by agency, system, contract

    def concerns(self, *agencies: str) -> bool:
        return not self.agency or self.agency in agencies

    def day(self, transfer: str) -> list[int]:
        return self.days.setdefault(self.span.hour(transfer) // HOURS, [0, 0, 0])


def tally(connection: Connection, span: Span, size: int, agency: str = "") -> Tally:
    counted, old = Tally(span, agency), old_agencies(connection)
    for transfer, entries in groupby(_entries(connection, span, size), key=lambda row: row[0]):
        _transfer(counted, transfer, [(phase, parse(raw)) for _, phase, raw in entries], old)
    return counted


def _entries(connection: Connection, span: Span, size: int) -> Iterator[tuple[str, str, bytes]]:
    """All of the period, those of one transfer together."""
    (low, high), selected = span.ids, []
    for table in (tables.past_entry, tables.log_entry):
        one = select(table.c.transfer, table.c.phase, table.c.entry)
        one = one.where(table.c.transfer >= low, table.c.transfer < high)
        selected.append(one if table is tables.past_entry else one.where(table.c.idx < size))
    rows = connection.execute(union_all(*selected).order_by("transfer").execution_options(yield_per=_AT_ONCE))
    for transfer, phase, raw in rows:
        yield transfer, phase, bytes(raw)


def _transfer(
    counted: Tally, id: str, entries: Iterable[tuple[str, Mapping[str, Any]]], old: Mapping[str, str]
) -> None:
    """The entries under one id: those of a transfer, or one refusal, repeat or note."""
    intent: Mapping[str, Any] | None = None
    outcome: tuple[int, Mapping[str, Any]] | None = None
    tries, kinds, doubt = list[Mapping[str, Any]](), Counter[str](), False
    for phase, value in entries:
        kind, _, number = phase.partition("#")
        if kind == "refusal":
            _refusal(counted, id, value)
        elif kind == "repeat":
            _repeat(counted, value)
        elif kind == "intent":
            intent = value
        elif value.get("kind") == "note" and intent is None and kind not in _TRIES:
            _note(counted, kind, value)
            continue
        elif kind == "outcome" and (outcome is None or int(number or 1) > outcome[0]):
            outcome = int(number or 1), value
        elif kind in _TRIES:
            tries.append(value)
        doubt |= kind == "in-doubt"
        if kind not in ("refusal", "repeat"):
            kinds[kind] += 1
    if intent is not None:
        ended = None if outcome is None else outcome[1]
        flow = _flow(intent, "in-doubt" if doubt and ended is None else _state(ended), old)
        if counted.concerns(flow.agency, flow.provider_agency):
            counted.entries += kinds
            _count(counted, id, flow, ended, tries)
    elif not counted.agency:
        counted.entries += kinds


def _flow(intent: Mapping[str, Any], state: State, old: Mapping[str, str]) -> Flow:
    caller = intent.get("caller")
    caller = caller if isinstance(caller, dict) else {}
    provider = text_in(intent, "provider") or ""
    return Flow(
        agency=text_in(caller, "agency") or "",
        system=text_in(caller, "system") or "",
        provider_agency=(agency_of(intent, provider, old) or "") if provider else "",
        provider=provider,
        contract=text_in(intent, "contract") or "",
        operation=text_in(intent, "operation") or "",
        state=state,
    )


def _state(outcome: Mapping[str, Any] | None) -> State:
    return "open" if outcome is None else "done" if text_in(outcome, "failure") is None else "failed"


def _count(
    counted: Tally, id: str, flow: Flow, outcome: Mapping[str, Any] | None, tries: list[Mapping[str, Any]]
) -> None:
    counted.flows[flow] += 1
    counted.day(id)[0 if flow.state == "done" else 1] += 1
    if not flow.provider or not counted.concerns(flow.provider_agency):
        return
    failure = None if outcome is None else text_in(outcome, "failure")
    if failure is not None:
        counted.failures[flow.provider, failure] += 1
    codes = [each["facts"].get("failure") for each in tries if isinstance(each.get("facts"), dict)]
    if any(faulty(code) for code in (*codes, failure) if code is None or isinstance(code, str)):
        fault = counted.faults.setdefault(flow.provider, Fault())
        fault.transfers += 1
        fault.hours.add(int((arrived(id) - counted.span.since) // HOUR))
        times = [text_in(each, "at") or "" for each in (*tries, outcome or {})]
        fault.first = min([fault.first, *filter(None, times)])
        fault.last = max([fault.last, *times])


def _refusal(counted: Tally, id: str, value: Mapping[str, Any]) -> None:
    caller, times = value.get("caller"), value.get("count")
    agency = (text_in(caller, "agency") or "") if isinstance(caller, dict) else ""
    if not counted.concerns(agency):
        return
    number = times if isinstance(times, int) else 1
    counted.entries["refusal"] += 1
    counted.refusals[agency, text_in(value, "contract") or "", text_in(value, "failure") or ""] += number
    counted.day(id)[2] += number


def _repeat(counted: Tally, value: Mapping[str, Any]) -> None:
    caller = value.get("caller")
    agency = (text_in(caller, "agency") or "") if isinstance(caller, dict) else ""
    if counted.concerns(agency):
        counted.entries["repeat"] += 1
        counted.repeats[agency] += 1


def _note(counted: Tally, kind: str, value: Mapping[str, Any]) -> None:
    agency, _, system = (text_in(value, "actor") or "").partition("/")
    if not counted.concerns(agency if system else ""):
        return
    counted.entries[kind] += 1
    facts = value.get("facts")
    if kind == _READ and isinstance(facts, dict) and isinstance(events := facts.get("events"), int):
        counted.reads[agency, system.partition(":")[0], text_in(facts, "contract") or ""] += events
