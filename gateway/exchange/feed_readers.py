"""Tells who reads which feed, how far, and how far behind the newest event: from the readings in the log.

Readings are logged as sessions (`gateway.feeds.sessions`), so a position is that of the last entry: up to a minute old
while a reader reads on. Nothing is stored beside the log.
Work is bounded: one search for each reader and feed, and a bounded count of what he has not read yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from gateway.audit.search.search import Query, search
from gateway.feeds.sessions import NOTE
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.registry.parts.grants import FEED
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot

MOST_BEHIND: Final = 100_000  # events that are counted
_ENTRIES: Final = 4  # of a reader and a feed, newest first: several sessions may be open at once
_PAGES: Final = 3
_event: Final = tables.feed_event.c


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


def readers(connection: Connection, snapshot: Snapshot, now: float, *, agency: str | None = None) -> list[FeedReader]:
    """The systems that may read a feed now, each with its place; of one agency or of all. By feed and system."""
    found = []
    for contract, system in _permitted(snapshot, agency, now):
        position, at = _position(connection, contract, system)
        found.append(_stands(connection, contract, system, position, at, now))
    return found


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


def _position(connection: Connection, contract: str, system: System) -> tuple[int, float | None]:
    query = Query(kind=NOTE, contract=contract, agency=system.agency, system=system.id, role="reader")
    last, at, cursor, looked = 0, None, None, 0
    for _ in range(_PAGES):
        page = search(connection, query, limit=_ENTRIES, cursor=cursor)
        for hit in page.hits:
            facts = parse(hit.entry).get("facts")
            if isinstance(facts, dict):
                at = hit.sequenced if at is None else at
                last = max(last, _last(facts))
                looked += 1
        cursor = page.next
        if looked >= _ENTRIES or cursor is None:
            break
    return last, at


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
    connection: Connection, contract: str, system: System, position: int, at: float | None, now: float
) -> FeedReader:
    head = connection.scalar(select(func.max(_event.offset)).where(_event.contract == contract)) or 0
    after = select(_event.sequenced).where(_event.contract == contract, _event.offset > position)
    behind = connection.scalar(select(func.count()).select_from(after.limit(MOST_BEHIND).subquery())) or 0
    first = connection.scalar(after.order_by(_event.offset).limit(1)) if behind else None
    return FeedReader(
        system=system.id,
        agency=system.agency,
        contract=contract,
        position=position,
        head=head,
        read_at=at,
        behind=behind,
        behind_seconds=0.0 if first is None else round(max(0.0, now - first), 3),
    )
