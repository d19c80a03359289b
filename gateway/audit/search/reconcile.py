"""Comparing an agency's daily counts with the log: its numbers in, differences out.

What is counted comes from the log's entries alone, by their own times: the transfers' rows serve only to tell of an acknowledged message that it was
queued, and to name its id to its sender. Rules, the same for every agency:
- `sent` belongs to the day of the intent, `received` to the day of the provider's good answer; a day begins and ends at midnight in Vietnam.
- A repeat is no message. A refusal is none either; refusals are counted beside.
- A message acknowledged with 202 counts as sent, whatever became of it; it is named while it waits, and when it was given up.
- What is in doubt counts nowhere and is named: it may explain a difference. So may what was accepted before midnight and ended after it.
Invariants: equal numbers and lists give equal verdicts, whenever they are compared, but for what was still open. The cost is linear in the entries of
the day and in what is listed: reasons are looked up for a bounded number of messages of a whole statement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.audit.log import origins
from gateway.audit.search import facts
from gateway.audit.search.errors import RECONCILIATION_DAY_OPEN
from gateway.audit.search.facts import Facts
from gateway.audit.search.search import Query, search
from gateway.client.audit.reconciliation import RECEIVED, SENT, Claim, Key, Statement
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from security.grants.windows import VIETNAM

NAMED: Final = 200  # messages named in one line and list; the numbers are whole
REASONS: Final = 1_000  # messages of a statement for which the log is asked why they are not counted; each is a search
_PAGE: Final = 500
_AT_ONCE: Final = 400
_BEFORE: Final = 300.0  # clocks of doors and keeper may differ by that much
_DAY: Final = 86_400.0
_AFTER: Final = 86_400.0  # so long may the sequencer have stood still
_NAMED_LISTS: Final = ("waiting", "given_up", "in_doubt", "failed", "over_midnight")
EQUAL, EXPLAINED, DIFFERS = "equal", "explained", "differs"


Pace = Callable[
    [Connection], object
]  # called between two pieces of the work: may rest, end the transaction of reading, or raise


def unhurried(_connection: Connection) -> None:
    """For whoever has all the time."""


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
    counted: Counted
    verdict: str
    not_here: tuple[tuple[str, str], ...] = ()
    not_there: tuple[tuple[str, str], ...] = ()

    @property
    def ours(self) -> int:
        return len(self.counted.accepted)

    def to_json(self) -> dict[str, Any]:
        """Lists are cut short, with their whole number beside them."""
        found: dict[str, Any] = {
            **self.key._asdict(),
            "theirs": self.theirs,
            "ours": self.ours,
            "difference": self.theirs - self.ours,
        }
        found |= {
            "verdict": self.verdict,
            "repeats": self.counted.repeats,
            "refused": dict(sorted(self.counted.refused.items())),
        }
        name = "message" if self.key.direction == SENT else "transfer"
        found["not_here"] = [{name: each, "reason": reason} for each, reason in self.not_here[:NAMED]]
        found["not_there"] = [
            {"transfer": transfer, "message": message} for transfer, message in self.not_there[:NAMED]
        ]
        lists: dict[str, list[str]] = {name: getattr(self.counted, name) for name in _NAMED_LISTS}
        found |= {name: value[:NAMED] for name, value in lists.items()}
        numbers = {"not_here": len(self.not_here), "not_there": len(self.not_there)}
        return found | {"numbers": numbers | {name: len(value) for name, value in lists.items()}}


@dataclass(frozen=True, slots=True)
class Comparison:
    agency: str
    day: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()  # of logs that ended and hold entries of that day, which are counted nowhere here

    @property
    def differences(self) -> int:
        return sum(line.verdict == DIFFERS for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        return {
            "agency": self.agency,
            "day": self.day,
            "differences": self.differences,
            "lines": [line.to_json() for line in self.lines],
            "notes": list(self.notes),
        }

    def noted(self) -> dict[str, Any]:
        """For the log: numbers alone."""
        verdicts = Counter(line.verdict for line in self.lines)
        theirs, ours = (sum(getattr(line, side) for line in self.lines) for side in ("theirs", "ours"))
        return {
            "agency": self.agency,
            "day": self.day,
            "lines": len(self.lines),
            "theirs": theirs,
            "ours": ours,
            **verdicts,
        }


def compare(
    connection: Connection,
    agency: str,
    systems: Iterable[str],
    said: Statement,
    hash_id: Callable[[str], str],
    now: float,
    pace: Pace = unhurried,
) -> Comparison:
    """A statement against the log. The caller has seen to it that all its systems are the agency's."""
    begin = datetime.combine(said.day, time(), VIETNAM).timestamp()
    day = (begin, begin + _DAY)  # in seconds: the calendar has a last day, and Vietnam's clocks are never changed
    if now < day[1]:
        raise RECONCILIATION_DAY_OPEN(day=said.day.isoformat())
    counted = count(connection, agency, systems, *day, pace)
    lines, reasons = [], _Reasons(connection, day, pace)
    for key in sorted({*said.claims, *(key for key, ours in counted.items() if ours.accepted)}):
        pace(connection)
        lines.append(_line(reasons, key, said.claims.get(key, Claim(0)), counted.get(key, Counted()), hash_id))
    return Comparison(agency, said.day.isoformat(), tuple(lines), origins.unseen(connection, *day))


def count(
    connection: Connection, agency: str, systems: Iterable[str], begin: float, end: float, pace: Pace = unhurried
) -> dict[Key, Counted]:
    """What the log holds of an agency's messages of a day."""
    found: dict[Key, Counted] = {}

    def at(told: Facts, direction: str) -> Counted:
        system = told.system if direction == SENT else told.provider
        return found.setdefault(Key(system or "", told.contract or "", told.operation or "", direction), Counted())

    def of(**terms: Any) -> Iterator[Facts]:
        return _of_day(
            connection, Query(**terms, since=begin - _BEFORE, until=end + _AFTER, oldest_first=True), begin, end, pace
        )

    intents = list(of(agency=agency, kind="intent"))
    fates = _fates(connection, [told.transfer for told in intents], pace)
    for told in intents:
        _sent(at(told, SENT), told, fates[told.transfer], end)
    for told in of(agency=agency, kind="refusal"):
        at(told, SENT).refused[told.failure or "–"] += told.times
    for told in of(agency=agency, kind="repeat"):
        at(told, SENT).repeats += 1
    for system in systems:
        for told in of(provider=system, kind="outcome"):
            ours = at(told, RECEIVED)
            if told.outcome != "ok":
                ours.failed.append(told.transfer)
                continue
            ours.accepted[told.transfer] = told.message or ""
            if _arrived(told.transfer) < begin:
                ours.over_midnight.append(told.transfer)
        open_ = {told.about: told for kind in ("intent", "in-doubt") for told in of(provider=system, kind=kind)}
        fates = _fates(connection, open_, pace)
        for transfer, told in open_.items():
            fate, ours = fates[transfer], at(told, RECEIVED)
            if fate.outcome is None:
                (ours.in_doubt if fate.doubted else ours.waiting).append(transfer)
            elif _seconds(fate.outcome.at) >= end:
                ours.over_midnight.append(transfer)
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


# --- what became of transfers -----------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Fate:
    """`acknowledged`: the sender was told that it is queued."""

    outcome: Facts | None = None
    doubted: bool = False
    acknowledged: bool = False


def _fates(connection: Connection, transfers: Iterable[str], pace: Pace) -> dict[str, _Fate]:
    wanted = list(transfers)
    fates = {each: _Fate() for each in wanted}
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        pace(connection)
        for table in (tables.log_entry, tables.log_pending):
            rows = connection.execute(
                select(table.c.transfer, table.c.phase, table.c.entry).where(
                    table.c.transfer.in_(some), table.c.phase != "intent"
                )
            )
            for transfer, phase, raw in rows:
                told = facts.facts_of(parse(bytes(raw)), transfer, phase, {})
                fate = fates[transfer]
                if told.kind == "outcome" and fate.outcome is None:
                    fate.outcome = told
                fate.doubted |= told.kind == "in-doubt"
                fate.acknowledged |= told.kind == "queued"
        queue = tables.queue.c
        for transfer in connection.execute(select(queue.transfer).where(queue.transfer.in_(some))).scalars():
            fates[transfer].acknowledged = True
    return fates


def _of_day(connection: Connection, query: Query, begin: float, end: float, pace: Pace) -> Iterator[Facts]:
    """Facts of entries that were made within the day; they were sequenced then or a little later."""
    cursor: str | None = None
    while True:
        pace(connection)
        page = search(connection, query, limit=_PAGE, cursor=cursor)
        for hit in page.hits:
            if begin <= _seconds(hit.facts.at) < end:
                yield hit.facts
        cursor = page.next
        if cursor is None:
            return


def _seconds(at: str) -> float:
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0


def _arrived(transfer: str) -> float:
    """Ids of transfers begin with their time (RFC 9562 §5.7)."""
    try:
        return int(transfer.replace("-", "")[:12], 16) / 1000
    except ValueError:
        return 0.0


# --- the comparison ---------------------------------------------------------------------------------------------------
def _line(reasons: _Reasons, key: Key, claim: Claim, ours: Counted, hash_id: Callable[[str], str]) -> Line:
    not_here: list[tuple[str, str]] = []
    not_there: list[tuple[str, str]] = []
    known = set(ours.accepted.values()) if key.direction == SENT else set(ours.accepted)
    listed = _listed(key, claim, hash_id)
    if listed is not None:
        absent = [digest for digest in listed if digest not in known]
        for digest in absent:
            reason = reasons.why(key, digest, ours) if len(not_here) < NAMED else "–"
            not_here.append((listed[digest], reason))
        left = [
            transfer
            for transfer, message in ours.accepted.items()
            if (message if key.direction == SENT else transfer) not in listed
        ]
        names = _names(reasons.connection, left[:NAMED])
        not_there = [(transfer, names.get(transfer, "")) for transfer in left]
    verdict = _verdict(claim, ours, None if listed is None else not_here, [transfer for transfer, _ in not_there])
    return Line(key, claim.accepted, ours, verdict, tuple(not_here), tuple(not_there))


def _listed(key: Key, claim: Claim, hash_id: Callable[[str], str]) -> dict[str, str] | None:
    """What is compared -> what it is called in the list."""
    if claim.digests is not None:
        return {each: each for each in claim.digests}
    if claim.messages is None:
        return None
    if key.direction == RECEIVED:
        return {each.removeprefix("urn:uuid:"): each for each in claim.messages}
    return {hash_id(each): each for each in claim.messages}


def _verdict(claim: Claim, ours: Counted, not_here: list[tuple[str, str]] | None, not_there: list[str]) -> str:
    midnight = {*ours.over_midnight}
    if not_here is None:
        difference = claim.accepted - len(ours.accepted)
        more, fewer = len(ours.in_doubt) + len(midnight - ours.accepted.keys()), len(midnight & ours.accepted.keys())
        return EQUAL if difference == 0 else EXPLAINED if -fewer <= difference <= more else DIFFERS
    if not not_here and not not_there:
        return EQUAL
    reasons_known = all(reason in ("in-doubt", "over-midnight") or reason.startswith("on ") for _, reason in not_here)
    return EXPLAINED if reasons_known and midnight.issuperset(not_there) else DIFFERS


@dataclass(slots=True)
class _Reasons:
    """Why messages are not counted: asked of the log for the first of a statement; the others are named without a reason."""

    connection: Connection
    day: tuple[float, float]
    pace: Pace
    left: int = REASONS

    def why(self, key: Key, digest: str, ours: Counted) -> str:
        if not self.left:
            return "–"
        self.left -= 1
        self.pace(self.connection)
        return _why(self.connection, key, digest, ours, self.day)


def _why(connection: Connection, key: Key, digest: str, ours: Counted, day: tuple[float, float]) -> str:
    """Why a message of the agency's list is none that the gateway accepted on that day."""
    if key.direction == RECEIVED:
        for name in ("in_doubt", "over_midnight", "failed", "waiting"):
            if digest in getattr(ours, name):
                return name.replace("_", "-")
        query = Query(transfer=digest, oldest_first=True)
    else:
        query = Query(message=digest, system=key.system, oldest_first=True)
    found = [hit.facts for hit in search(connection, query, limit=_PAGE).hits]
    same = [told for told in found if (told.contract, told.operation) == (key.contract, key.operation)]
    if not same:
        return (
            "unknown" if not found or key.direction == RECEIVED else f"under {found[0].contract} {found[0].operation}"
        )
    if key.direction == RECEIVED and not any(told.provider == key.system for told in same):
        return "unknown"  # of others: nothing is told of it
    counted = "intent" if key.direction == SENT else "outcome"
    for told in same:
        if told.kind == counted and told.outcome in (None, "ok") and not day[0] <= _seconds(told.at) < day[1]:
            return f"on {datetime.fromtimestamp(_seconds(told.at), VIETNAM).date().isoformat()}"
    if any(told.about in ours.in_doubt for told in same):
        return "in-doubt"
    if any(told.about in ours.failed for told in same):
        return "failed"
    refused = [told.failure for told in same if told.kind == "refusal"]
    return f"refused: {refused[-1]}" if refused else "failed"


def _names(connection: Connection, transfers: list[str]) -> dict[str, str]:
    table = tables.transfer.c
    return {
        row[0]: row[1] for row in connection.execute(select(table.id, table.message_id).where(table.id.in_(transfers)))
    }
