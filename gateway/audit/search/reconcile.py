"""Compares an agency's daily counts with the log.

Only entries of the log are counted, by their own times. The transfers' rows only tell whether an acknowledged message
was queued, and its id for its sender. The rules are the same for every agency:
- `sent` belongs to the day of the intent, `received` to the day of the provider's successful answer. Days are those of
  Vietnam.
- Repeats and refusals are no messages; they are counted apart.
- A message acknowledged with 202 counts as sent, whatever happens to it. It is listed while it waits, and if it was
  given up.
- Messages in doubt are not counted but listed, as they may explain a difference. So may messages accepted before
  midnight that ended after it.

Invariants:
- Equal numbers and lists give equal verdicts at any time, except for what was still open.
- The cost is linear in the entries of the day and the length of the lists: the number of reasons that are searched for
  is bounded per statement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, Final, NamedTuple

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

NAMED: Final = 200  # messages named in one line and list; numbers count all of them
REASONS: Final = 1_000  # messages of a statement whose reason is searched for; each is a search
_PAGE: Final = 500
_AT_ONCE: Final = 400
_BEFORE: Final = 300.0  # difference of the clocks of doors and keeper
_DAY: Final = 86_400.0
_AFTER: Final = 86_400.0  # possible standstill of the sequencer
_NAMED_LISTS: Final = ("waiting", "given_up", "in_doubt", "failed", "over_midnight")
EQUAL, EXPLAINED, DIFFERS = "equal", "explained", "differs"


# Called between two pieces of work: may sleep, end the reading transaction, or raise.
Pace = Callable[[Connection], object]


def unhurried(_connection: Connection) -> None:
    """Does not slow the work down."""


@dataclass(slots=True)
class Counted:
    """The messages of one key and day in the log. `accepted`: transfer -> keyed hash of the message id."""

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
    """The numbers of both sides for one key, and the reasons of their difference.

    `not_here`: messages of the agency's list that the gateway did not accept on that day, with the reason. `not_there`:
    (transfer, message id) of transfers that its list lacks.
    """

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
        """The line with shortened lists, and their full lengths under `numbers`."""
        name = "message" if self.key.direction == SENT else "transfer"
        lists: dict[str, list[str]] = {name: getattr(self.counted, name) for name in _NAMED_LISTS}
        numbers = {"not_here": len(self.not_here), "not_there": len(self.not_there)}
        return {
            **self.key._asdict(),
            "theirs": self.theirs,
            "ours": self.ours,
            "difference": self.theirs - self.ours,
            "verdict": self.verdict,
            "repeats": self.counted.repeats,
            "refused": dict(sorted(self.counted.refused.items())),
            "not_here": [{name: each, "reason": reason} for each, reason in self.not_here[:NAMED]],
            "not_there": [{"transfer": id, "message": message} for id, message in self.not_there[:NAMED]],
            **{name: value[:NAMED] for name, value in lists.items()},
            "numbers": numbers | {name: len(value) for name, value in lists.items()},
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    agency: str
    day: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()  # about ended logs with entries of that day, which are not counted

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
        """The numbers alone, for a note in the log."""
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


class Claimant(NamedTuple):
    agency: str
    systems: Sequence[str]  # all that are the agency's


def compare(
    connection: Connection,
    claimant: Claimant,
    statement: Statement,
    hash_id: Callable[[str], str],
    now: float,
    pace: Pace = unhurried,
) -> Comparison:
    """Compares a statement with the log. Raises `reconciliation.day-open`."""
    begin = datetime.combine(statement.day, time(), VIETNAM).timestamp()
    day = (begin, begin + _DAY)  # Vietnam has no daylight saving time
    if now < day[1]:
        raise RECONCILIATION_DAY_OPEN(day=statement.day.isoformat())
    counted = count(connection, claimant, *day, pace)
    lines, reasons = [], _Reasons(connection, day, pace)
    for key in sorted({*statement.claims, *(key for key, ours in counted.items() if ours.accepted)}):
        pace(connection)
        lines.append(_line(reasons, key, statement.claims.get(key, Claim(0)), counted.get(key, Counted()), hash_id))
    return Comparison(claimant.agency, statement.day.isoformat(), tuple(lines), origins.unseen(connection, *day))


def count(
    connection: Connection, claimant: Claimant, begin: float, end: float, pace: Pace = unhurried
) -> dict[Key, Counted]:
    """The agency's messages of a day (`begin` to before `end`, Unix seconds) in the log."""
    agency, systems = claimant
    counted: dict[Key, Counted] = {}

    def at(entry: Facts, direction: str) -> Counted:
        system = entry.system if direction == SENT else entry.provider
        return counted.setdefault(Key(system or "", entry.contract or "", entry.operation or "", direction), Counted())

    def of(**terms: Any) -> Iterator[Facts]:
        return _of_day(
            connection, Query(**terms, since=begin - _BEFORE, until=end + _AFTER, oldest_first=True), begin, end, pace
        )

    intents = list(of(agency=agency, kind="intent"))
    fates = _fates(connection, [entry.transfer for entry in intents], pace)
    for entry in intents:
        _sent(at(entry, SENT), entry, fates[entry.transfer], end)
    for entry in of(agency=agency, kind="refusal"):
        at(entry, SENT).refused[entry.failure or "–"] += entry.times
    for entry in of(agency=agency, kind="repeat"):
        at(entry, SENT).repeats += 1
    for system in systems:
        for entry in of(provider=system, kind="outcome"):
            ours = at(entry, RECEIVED)
            if entry.outcome != "ok":
                ours.failed.append(entry.transfer)
                continue
            ours.accepted[entry.transfer] = entry.message or ""
            if _arrived(entry.transfer) < begin:
                ours.over_midnight.append(entry.transfer)
        open_ = {entry.about: entry for kind in ("intent", "in-doubt") for entry in of(provider=system, kind=kind)}
        fates = _fates(connection, open_, pace)
        for transfer, entry in open_.items():
            fate, ours = fates[transfer], at(entry, RECEIVED)
            if fate.outcome is None:
                (ours.in_doubt if fate.doubted else ours.waiting).append(transfer)
            elif _seconds(fate.outcome.at) >= end:
                ours.over_midnight.append(transfer)
    return counted


def _sent(ours: Counted, entry: Facts, fate: _Fate, end: float) -> None:
    """Adds one message of a sender by what happened to it."""
    if fate.outcome is None:
        if fate.doubted or not fate.acknowledged:
            ours.in_doubt.append(entry.transfer)
            return
        ours.waiting.append(entry.transfer)
    elif fate.outcome.outcome != "ok":
        if not fate.acknowledged:
            ours.failed.append(entry.transfer)
            return
        ours.given_up.append(entry.transfer)
    ours.accepted[entry.transfer] = entry.message or ""
    if fate.outcome is not None and _seconds(fate.outcome.at) >= end:
        ours.over_midnight.append(entry.transfer)


# --- fates of transfers -----------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Fate:
    """`acknowledged`: the sender was told that the message is queued."""

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
                entry = facts.facts_of(parse(bytes(raw)), transfer, phase, {})
                fate = fates[transfer]
                if entry.kind == "outcome" and fate.outcome is None:
                    fate.outcome = entry
                fate.doubted |= entry.kind == "in-doubt"
                fate.acknowledged |= entry.kind == "queued"
        queue = tables.queue.c
        for transfer in connection.execute(select(queue.transfer).where(queue.transfer.in_(some))).scalars():
            fates[transfer].acknowledged = True
    return fates


def _of_day(connection: Connection, query: Query, begin: float, end: float, pace: Pace) -> Iterator[Facts]:
    """Facts of entries created within the day; they were sequenced then or a little later."""
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
    """The time in the id of a transfer, in Unix seconds (UUIDv7, RFC 9562 §5.7)."""
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
    return Line(
        key=key,
        theirs=claim.accepted,
        counted=ours,
        verdict=verdict,
        not_here=tuple(not_here),
        not_there=tuple(not_there),
    )


def _listed(key: Key, claim: Claim, hash_id: Callable[[str], str]) -> dict[str, str] | None:
    """The compared value -> the name in the agency's list."""
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
    """Searches why messages are not counted, for the first `left` of a statement; further ones have no reason."""

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
    """Why the gateway did not accept a message of the agency's list on that day."""
    if key.direction == RECEIVED:
        for name in ("in_doubt", "over_midnight", "failed", "waiting"):
            if digest in getattr(ours, name):
                return name.replace("_", "-")
        query = Query(transfer=digest, oldest_first=True)
    else:
        query = Query(message=digest, system=key.system, oldest_first=True)
    entries = [hit.facts for hit in search(connection, query, limit=_PAGE).hits]
    same = [entry for entry in entries if (entry.contract, entry.operation) == (key.contract, key.operation)]
    if not same:
        elsewhere = entries and key.direction != RECEIVED
        return f"under {entries[0].contract} {entries[0].operation}" if elsewhere else "unknown"
    if key.direction == RECEIVED and not any(entry.provider == key.system for entry in same):
        return "unknown"  # of other systems: not disclosed
    counted = "intent" if key.direction == SENT else "outcome"
    for entry in same:
        if entry.kind == counted and entry.outcome in (None, "ok") and not day[0] <= _seconds(entry.at) < day[1]:
            return f"on {datetime.fromtimestamp(_seconds(entry.at), VIETNAM).date().isoformat()}"
    if any(entry.about in ours.in_doubt for entry in same):
        return "in-doubt"
    if any(entry.about in ours.failed for entry in same):
        return "failed"
    refused = [entry.failure for entry in same if entry.kind == "refusal"]
    return f"refused: {refused[-1]}" if refused else "failed"


def _names(connection: Connection, transfers: list[str]) -> dict[str, str]:
    table = tables.transfer.c
    return {
        row[0]: row[1] for row in connection.execute(select(table.id, table.message_id).where(table.id.in_(transfers)))
    }
