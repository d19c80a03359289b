"""Counts what the journal says of each system and day.

What is counted, by the day in Vietnam on which a message came in (the time in its id):

    probes      looks whether a system takes connections (`gateway.watch`), by the day on which they were made
    calls       messages for which a system was called. A message is answered if each call for it was: the system gave
                an answer, or said, signed, that it refuses or does not have what was asked for. It is not answered if
                a call failed by the system's fault, even if a later one succeeded. While a system rests after failures
                it is not called.
    heard       hours of the messages that the system handed in, or answered without a failed call
    accepted    messages that a system handed in, and the gateway took
    invalid     messages that the gateway refused because they broke their format, their contract or their signature
                (`weights.yaml`). A refusal of a call of the gateway's own API, or for lack of a right, is none
    refused     all that the gateway refused for the sender's sake, by error code and rule
    repeats     messages that were handed in again

`gateway.scorecards.events` counts what the feeds say.

Invariant: the number of queries depends on days, contracts and systems, never on the number of messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Integer, cast, func, or_, select

from adapters.errors import SOUND
from contracts.canonical.model import Pattern
from gateway.delivery.errors import PROVIDER_RESTING
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.journal.schema.watch_tables import probe_day
from gateway.registry.snapshot import Snapshot
from gateway.scorecards.events import Feed
from gateway.scorecards.figures import HOUR, Counts, Days, Span
from gateway.scorecards.scoring import Weights
from gateway.transfer.entries import PROBES
from gateway.transfer.states import State
from security.grants.windows import VIETNAM

_ENDED: Final = (State.ANSWERED.value, State.FAILED.value, State.DEAD.value)
_KINDS: Final = (PROBES, "refusal", "repeat", "queued", "try-failed", "in-doubt")
_OURS: Final = 500  # a refusal of this status or higher is not the sender's fault


def count(connection: Connection, snapshot: Snapshot, span: Span, now: float, rules: Weights) -> Days:
    days = Days(span)
    answers = Counter[tuple[str, int]]()  # by called system and hour
    probed = _probes(connection, span)
    _transfers(connection, days, answers)
    _entries(connection, days, answers, probed, rules)
    _add(days, probed)
    for (system, hour), number in answers.items():
        if number > 0:
            days.at(system, hour).heard.add(hour)
    for contract in snapshot.contracts.values():
        if any(each.pattern is Pattern.SUBMIT for each in contract.contract.operations.values()):
            Feed(connection, snapshot, contract, days, (now, rules.late)).count()
    return days


def faulty(code: str | None) -> bool:
    """Whether an error code of a call says that the called system failed."""
    return code is not None and code.startswith("provider.") and code not in SOUND and code != PROVIDER_RESTING.code


# --- probes -----------------------------------------------------------------------------------------------------------
_Probed = dict[tuple[str, str], tuple[int, int]]  # by system and day: probes, and those that were answered


def _probes(connection: Connection, span: Span) -> _Probed:
    """Of days that are not in the log yet."""
    first, last = (datetime.fromtimestamp(at, VIETNAM).date().isoformat() for at in span)
    rows = connection.execute(select(probe_day).where(probe_day.c.day >= first, probe_day.c.day < last))
    return {(row.system, row.day): (row.probes, row.answered) for row in rows}


def _logged(probed: _Probed, facts: Any) -> None:
    """Takes the counts of a day that has ended. They may have been in the table a moment ago."""
    if isinstance(facts, dict):
        system, day, probes, answered = (facts.get(name) for name in ("provider", "day", "probes", "answered"))
        if isinstance(system, str) and isinstance(day, str) and isinstance(probes, int) and isinstance(answered, int):
            probed[system, day] = probes, answered


def _add(days: Days, probed: _Probed) -> None:
    for (system, day), (probes, answered) in probed.items():
        at = datetime.combine(date.fromisoformat(day), time(), VIETNAM).timestamp()
        counts = days.at(system, days.span.within(int((at - days.span.since) // HOUR)))
        counts.probed += probes
        counts.listened += answered


# --- transfers and entries --------------------------------------------------------------------------------------------
def _transfers(connection: Connection, days: Days, answers: Counter[tuple[str, int]]) -> None:
    table, (low, high) = tables.transfer.c, days.span.ids
    hours: Any = (table.received - days.span.since) / HOUR
    hour = cast(hours if connection.dialect.name == "sqlite" else func.floor(hours), Integer)  # SQLite cuts off
    rows = connection.execute(
        select(hour, table.caller_system, table.provider, table.state, table.failure, func.count())
        .where(table.id >= low, table.id < high)
        .group_by(hour, table.caller_system, table.provider, table.state, table.failure)
    )
    for at, caller, provider, state, failure, number in rows:
        at = days.span.within(at)
        sender = days.at(caller, at)
        sender.accepted += number
        sender.heard.add(at)
        if provider is None or state not in _ENDED:
            continue
        called = days.at(provider, at)
        if _answers(state, failure):
            called.answered += number
            answers[provider, at] += number
        elif faulty(failure):
            called.unanswered += number
            called.failed.add(at)


def _answers(state: str | None, failure: str | None) -> bool:
    """Whether an ended transfer has an answer of the called system."""
    return state == State.ANSWERED or state in _ENDED and failure in SOUND and failure != PROVIDER_RESTING.code


class _Entry(NamedTuple):
    transfer: str
    value: Mapping[str, Any]
    provider: str | None
    state: str | None
    failure: str | None  # the transfer's own
    received: float | None


def _read(connection: Connection, span: Span) -> Iterator[_Entry]:
    """The entries of the span that are neither intents nor outcomes, each once, with what became of the transfer."""
    low, high = span.ids
    own, seen = tables.transfer.c, set[tuple[str, str]]()
    for table in tables.LOGS:
        phase = table.c.phase
        wanted = or_(*(or_(phase == kind, phase.like(f"{kind}#%")) for kind in _KINDS))
        rows = connection.execute(
            select(table.c.transfer, phase, table.c.entry, own.provider, own.state, own.failure, own.received)
            .select_from(table.outerjoin(tables.transfer, own.id == table.c.transfer))
            .where(table.c.transfer >= low, table.c.transfer < high, wanted)
        )
        for transfer, name, raw, *of_transfer in rows:
            if (transfer, name) not in seen:  # an entry may move to the next table while it is read
                seen.add((transfer, name))
                yield _Entry(transfer, parse(bytes(raw)), *of_transfer)


def _entries(
    connection: Connection, days: Days, answers: Counter[tuple[str, int]], probed: _Probed, rules: Weights
) -> None:
    """`answers` keeps those that came without a failed call; `probed` gets what the log says of probes."""
    failed = set[str]()  # transfers with a failed call
    for entry in _read(connection, days.span):
        value, hour = entry.value, days.span.hour(entry.transfer)
        kind, caller = value.get("kind"), value.get("caller")
        if value.get("what") == PROBES:
            _logged(probed, value.get("facts"))
        elif kind in ("refusal", "repeat"):
            if not isinstance(caller, dict):
                continue
            sender = days.at(str(caller.get("system")), hour)
            sender.heard.add(hour)
            if kind == "repeat":
                sender.repeats += 1
            else:
                _refused(sender, value, rules)
        elif entry.provider is not None and entry.transfer not in failed and _failed(value):
            failed.add(entry.transfer)
            hour = days.span.within(int(((entry.received or 0.0) - days.span.since) // HOUR))  # as of its transfer
            called = days.at(entry.provider, hour)
            called.failed.add(hour)
            if _answers(entry.state, entry.failure):  # a later call was answered
                called.answered -= 1
                answers[entry.provider, hour] -= 1
            elif entry.state in _ENDED and faulty(entry.failure):  # it is counted already
                continue
            called.unanswered += 1


def _failed(value: Mapping[str, Any]) -> bool:
    facts = value.get("facts")
    code = facts.get("failure") if isinstance(facts, dict) else value.get("reason")
    return isinstance(code, str) and faulty(code)


def _refused(sender: Counts, value: Mapping[str, Any], weights: Weights) -> None:
    status, times = value.get("status"), value.get("count")
    if isinstance(status, int) and status >= _OURS:
        return
    times = times if isinstance(times, int) else 1
    code, findings = str(value.get("failure")), value.get("findings")
    if value.get("contract") and weights.is_invalid(code, status):
        sender.invalid += times
    rules = {
        (code, str(each.get("rule", "")), str(each.get("canonical") or each.get("here") or ""))
        for each in (findings if isinstance(findings, list) else ())
        if isinstance(each, dict)
    }
    for rule in rules or {(code, "", "")}:
        sender.refused[rule] += times
