"""Tells who reads which feed, how far, and how far behind the newest event: from the readings in the log.

Readings are logged as sessions (`gateway.feeds.sessions`), so a position is that of the last entry: up to a minute old
while a reader reads on. Nothing is stored beside the log and its index.
Invariant: the number of statements does not grow with readers and feeds (one more for each thousand of them), and each
  counts a bounded number of events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Connection, Integer, Text, column, func, select, values

from gateway.audit.search.fields import word
from gateway.audit.search.index import watermark
from gateway.feeds.sessions import NOTE
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.registry.parts.grants import FEED
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot

MOST_BEHIND: Final = 100_000  # events that are counted
AT_ONCE: Final = 1_000  # readers of a statement
UNINDEXED: Final = 4_000  # entries past the index that are read, at most
_ENTRIES: Final = 4  # of a reader and a feed, newest first: several sessions may be open at once
_event: Final = tables.feed_event.c
_entry: Final = tables.log_entry.c
_index: Final = tables.log_index.c


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReader:
    """`position`: the offset of the last event that a logged reading holds; 0 if nothing was read. `read_at`: when
    that was logged, in Unix seconds; None if nothing was. `behind`: events after it, at most `MOST_BEHIND`.
    `behind_seconds`: for how long the first of them has been there.
    """

    system: str
    agency: str
    contract: str
    position: int
    head: int
    read_at: float | None
    behind: int
    behind_seconds: float


class _Place(NamedTuple):
    """How far a reader came. `at`: when that was logged, None if nothing was."""

    position: int
    at: float | None


NOWHERE: Final = _Place(0, None)
_Pair = tuple[str, System]  # contract and reader


def readers(
    connection: Connection, snapshot: Snapshot, now: float, *, agency: str | None = None, started: bool = False
) -> list[FeedReader]:
    """The systems that may read a feed now, each with its place; of one agency or of all. By feed and system.
    `started`: only those that have read.
    """
    pairs = list(_permitted(snapshot, agency, now))
    places = _places(connection, pairs)
    wanted = [pair for pair in pairs if not started or _name(pair) in places]
    return [each for some in _in_parts(wanted) for each in _stands(connection, some, places, now)]


def _permitted(snapshot: Snapshot, agency: str | None, now: float) -> Iterator[tuple[str, System]]:
    systems = sorted(snapshot.systems.values(), key=lambda each: each.id)
    for contract in sorted(snapshot.contracts.values(), key=lambda each: each.contract.name):
        name = contract.contract.name
        if not contract.contract.fed:
            continue
        allowed = {
            each: snapshot.decide(each, name, FEED, now).allowed
            for each in {system.agency for system in systems if agency in (None, system.agency)}
        }
        yield from ((name, system) for system in systems if allowed.get(system.agency))


def _in_parts(pairs: Sequence[_Pair]) -> Iterator[Sequence[_Pair]]:
    return (pairs[start : start + AT_ONCE] for start in range(0, len(pairs), AT_ONCE))


def _name(pair: _Pair) -> tuple[str, str]:
    """As an entry names contract and reader."""
    contract, system = pair
    return contract, f"{system.agency}/{system.id}"


def _places(connection: Connection, pairs: Sequence[_Pair]) -> Mapping[tuple[str, str], _Place]:
    """Those of readers that have read."""
    if not pairs:
        return {}
    upto = watermark(connection).upto
    rows = [row for some in _in_parts(pairs) for row in _indexed(connection, some)]
    behind = (
        select(_entry.idx, _entry.sequenced, _entry.entry)
        .where(tables.NOTES, _entry.phase == NOTE, _entry.idx >= upto)
        .order_by(_entry.idx.desc())
        .limit(UNINDEXED)
    )
    rows += [tuple(row) for row in connection.execute(behind)]
    return _newest({_name(pair) for pair in pairs}, {row[0]: row for row in rows})


def _indexed(connection: Connection, pairs: Sequence[_Pair]) -> list[tuple[int, float, bytes]]:
    """The newest readings of each reader by the index: number, time and bytes of the entry."""
    reader = (
        values(column("system", Integer), column("contract", Integer), name="reader")
        .data([(word(system.id), word(contract)) for contract, system in pairs])
        .cte()
    )
    read = (
        select(_index.idx)
        .where(tables.READINGS, _index.system == reader.c.system, _index.contract == reader.c.contract)
        .order_by(_index.system.desc(), _index.contract.desc(), _index.idx.desc())
        .limit(1)
        .correlate(reader)
    )
    newest = select(*(read.offset(number).scalar_subquery() for number in range(_ENTRIES))).select_from(reader)
    wanted = {idx for row in connection.execute(newest) for idx in row if idx is not None}
    if not wanted:
        return []
    found = select(_entry.idx, _entry.sequenced, _entry.entry).where(_entry.idx.in_(sorted(wanted)))
    return [tuple(row) for row in connection.execute(found)]


def _newest(
    wanted: set[tuple[str, str]], rows: Mapping[int, tuple[int, float, bytes]]
) -> dict[tuple[str, str], _Place]:
    """The places that the newest entries of each reader give. An entry counts for whom it names, not for the index."""
    seen: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for _, sequenced, entry in sorted(rows.values(), reverse=True, key=lambda row: row[0]):
        value = parse(bytes(entry))
        facts = value.get("facts")
        if value.get("what") != NOTE or not isinstance(facts, dict):
            continue
        name = (str(facts.get("contract")), str(value.get("actor")))
        entries = seen.setdefault(name, []) if name in wanted else None
        if entries is not None and len(entries) < _ENTRIES:
            entries.append((sequenced, _last(facts)))
    return {name: _Place(max(last for _, last in entries), entries[0][0]) for name, entries in seen.items()}


def _last(facts: dict[str, Any]) -> int:
    """The last offset that an entry says was read. Of a session that only began, the one before its range."""
    ends = [each[1] for each in _ranges(facts.get("read"))]
    start = facts.get("from")
    if not ends and isinstance(start, int):
        return start - 1
    return max(ends, default=0)


def _ranges(value: Any) -> Sequence[Sequence[int]]:
    if not isinstance(value, list):
        return ()
    return [
        each
        for each in value
        if isinstance(each, list) and len(each) == 2 and all(isinstance(one, int) for one in each)
    ]


def _stands(
    connection: Connection, pairs: Sequence[_Pair], places: Mapping[tuple[str, str], _Place], now: float
) -> Iterator[FeedReader]:
    """How far behind each reader is."""
    listed = [(contract, system, places.get(_name((contract, system)), NOWHERE)) for contract, system in pairs]
    spot = (
        values(column("number", Integer), column("contract", Text), column("position", BigInteger), name="spot")
        .data([(number, contract, place.position) for number, (contract, _, place) in enumerate(listed)])
        .cte()
    )
    head = select(func.max(_event.offset)).where(_event.contract == spot.c.contract).correlate(spot)
    after = select(_event.sequenced).where(_event.contract == spot.c.contract, _event.offset > spot.c.position)
    after = after.correlate(spot)
    behind = select(func.count()).select_from(after.limit(MOST_BEHIND).subquery())
    first = after.order_by(_event.contract, _event.offset).limit(1)
    rows = connection.execute(
        select(spot.c.number, head.scalar_subquery(), behind.scalar_subquery(), first.scalar_subquery())
        .select_from(spot)
        .order_by(spot.c.number)
    )
    for (contract, system, place), (_, newest, count, oldest) in zip(listed, rows, strict=True):
        yield FeedReader(
            system=system.id,
            agency=system.agency,
            contract=contract,
            position=place.position,
            head=newest or 0,
            read_at=place.at,
            behind=count,
            behind_seconds=0.0 if oldest is None else round(max(0.0, now - oldest), 3),
        )
