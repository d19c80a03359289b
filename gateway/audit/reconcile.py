"""Comparing an agency's daily counts with the log: its numbers in, differences out.

What is counted comes from the log's entries alone, by their own times: the transfers' rows serve only to tell of an acknowledged message that it was
queued, and to name its id to its sender. Rules, the same for every agency:
- `sent` belongs to the day of the intent, `received` to the day of the provider's good answer; a day begins and ends at midnight in Vietnam.
- A repeat is no message. A refusal is none either; refusals are counted beside.
- A message acknowledged with 202 counts as sent, whatever became of it; it is named while it waits, and when it was given up.
- What is in doubt counts nowhere and is named: it may explain a difference. So may what was accepted before midnight and ended after it.
Invariant: equal numbers and lists give equal verdicts, whenever they are compared, but for what was still open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.errors import Theirs
from gateway.audit import facts
from gateway.audit.facts import Facts
from gateway.audit.search import Query, search
from gateway.client.reconciliation import RECEIVED, SENT, Claim, Key, Statement
from gateway.journal import tables
from security.windows import VIETNAM

NAMED: Final = 200  # messages named in one line and list; the numbers are whole
_PAGE: Final = 500
_AT_ONCE: Final = 400
_BEFORE: Final = 300.0  # clocks of doors and keeper may differ by that much
_AFTER: Final = 86_400.0  # so long may the sequencer have stood still
EQUAL, EXPLAINED, DIFFERS = "equal", "explained", "differs"


@dataclass(slots=True)
class Counted:
    """What the log holds of one key and day. `accepted`: transfer -> keyed hash of the message id."""

    accepted: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    in_doubt: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    over_midnight: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One key: the numbers of both sides, and what is known of their difference. `not_here` are messages of the agency's list that the gateway did
    not accept on that day, each with the reason; `not_there` are transfers that its list lacks."""

    key: Key
    theirs: int
    ours: int
    verdict: str
    not_here: tuple[tuple[str, str], ...] = ()
    not_there: tuple[tuple[str, str], ...] = ()
    waiting: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    in_doubt: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    over_midnight: tuple[str, ...] = ()
    refused: tuple[tuple[str, int], ...] = ()
    repeats: int = 0

    def to_json(self) -> dict[str, Any]:
        """Lists are cut short, with their whole number beside them."""
        found: dict[str, Any] = {**self.key._asdict(), "theirs": self.theirs, "ours": self.ours, "difference": self.theirs - self.ours}
        found |= {"verdict": self.verdict, "repeats": self.repeats, "refused": dict(self.refused)}
        names = ("message", "reason") if self.key.direction == SENT else ("transfer", "reason")
        found["not_here"] = [dict(zip(names, each, strict=True)) for each in self.not_here[:NAMED]]
        found["not_there"] = [{"transfer": transfer, "message": message} for transfer, message in self.not_there[:NAMED]]
        lists = {name: value for name, value in asdict(self).items() if name in ("waiting", "given_up", "in_doubt", "failed", "over_midnight")}
        found |= {name: list(value[:NAMED]) for name, value in lists.items()}
        found["numbers"] = {"not_here": len(self.not_here), "not_there": len(self.not_there)} | {
            name: len(value) for name, value in lists.items()
        }
        return found


@dataclass(frozen=True, slots=True)
class Comparison:
    agency: str
    day: str
    lines: tuple[Line, ...]

    @property
    def differences(self) -> int:
        return sum(line.verdict == DIFFERS for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        return {"agency": self.agency, "day": self.day, "differences": self.differences, "lines": [line.to_json() for line in self.lines]}

    def noted(self) -> dict[str, Any]:
        """For the log: numbers alone."""
        verdicts = Counter(line.verdict for line in self.lines)
        theirs, ours = (sum(getattr(line, side) for line in self.lines) for side in ("theirs", "ours"))
        return {"agency": self.agency, "day": self.day, "lines": len(self.lines), "theirs": theirs, "ours": ours, **verdicts}


def compare(
    connection: Connection, agency: str, systems: Iterable[str], said: Statement, hash_id: Callable[[str], str], now: float
) -> Comparison:
    """A statement against the log. The caller has seen to it that all its systems are the agency's."""
    begin = datetime.combine(said.day, time(), VIETNAM)
    day = (begin.timestamp(), (begin + timedelta(days=1)).timestamp())
    if now < day[1]:
        raise Theirs("reconciliation.day-open", day=said.day.isoformat())
    counted = count(connection, agency, systems, *day)
    lines = []
    for key in sorted({*said.claims, *(key for key, ours in counted.items() if ours.accepted)}):
        lines.append(_line(connection, key, said.claims.get(key, Claim(0)), counted.get(key, Counted()), hash_id, day))
    return Comparison(agency, said.day.isoformat(), tuple(lines))


def count(connection: Connection, agency: str, systems: Iterable[str], begin: float, end: float) -> dict[Key, Counted]:
    """What the log holds of an agency's messages of a day."""
    found: dict[Key, Counted] = {}

    def at(told: Facts, direction: str) -> Counted:
        system = told.system if direction == SENT else told.provider
        return found.setdefault(Key(system or "", told.contract or "", told.operation or "", direction), Counted())

    def of(**terms: str) -> Iterator[Facts]:
        return _of_day(connection, Query(**terms, since=begin - _BEFORE, until=end + _AFTER, oldest_first=True), begin, end)

    intents = list(of(agency=agency, kind="intent"))
    fates = _fates(connection, [told.transfer for told in intents])
    for told in intents:
        _sent(at(told, SENT), told, fates[told.transfer], end)
    for told in of(agency=agency, kind="refusal"):
        at(told, SENT).refused[told.failure or "–"] += told.times
    for told in of(agency=agency, kind="repeat"):
        at(told, SENT).repeats += 1
    for system in systems:
        for told in of(provider=system, kind="outcome"):
            ours = at(told, RECEIVED)
            if told.outcome == "ok":
                ours.accepted[told.transfer] = told.message or ""
            else:
                ours.failed.append(told.transfer)
        asked = list(of(provider=system, kind="intent"))
        doubted = list(of(provider=system, kind="in-doubt"))
        fates = _fates(connection, [told.about for told in (*asked, *doubted)])
        for told in {each.about: each for each in (*asked, *doubted)}.values():
            fate = fates[told.about]
            if fate.outcome is None:
                (at(told, RECEIVED).in_doubt if fate.doubted else at(told, RECEIVED).waiting).append(told.about)
            elif _seconds(fate.outcome.at) >= end:
                at(told, RECEIVED).over_midnight.append(told.about)
        for told in of(provider=system, kind="outcome"):
            ...
    return found


def _sent(ours: Counted, told: Facts, fate: _Fate, end: float) -> None:
    """Where one message of a sender belongs, by what became of it."""
    if fate.outcome is None:
        if fate.doubted or not fate.acknowledged:
            ours.in_doubt.append(told.transfer)
            return
        ours.waiting.append(told.transfer)
    elif fate.outcome.outcome != "ok":
        if not fate.acknowledged:
            ours.failed.append(told.transfer)
            return
        ours.given_up.append(told.transfer)
    ours.accepted[told.transfer] = told.message or ""
    if fate.outcome is not None and _seconds(fate.outcome.at) >= end:
        ours.over_midnight.append(told.transfer)
