"""Logs readings of feeds as sessions: one entry for many pages, and none for a poll that finds nothing.

Theory of operation
1. A session is one reader, one feed and one set of grants, in one process.
2. Its first entry (`opened`) gives the range of offsets that it may read, before the first event leaves.
3. An entry (`renewed`) follows before an event leaves that the last one does not cover. That one has another range or
   an owner that was not named yet, or it is older than RENEWED. It also gives what was read since the entry before.
4. The last entry (`closed`) gives what was read since then, IDLE after the last page or when the process stops. If the
   process dies there is none: then the range of the last entry is the upper bound of what was read.
5. A reading that a quota counts is an entry of its own (`counted`), since counts are compared with the log.
Invariant: no event leaves unless a committed entry names its reader, grants and owner, and a range that holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

from contracts.base.ids import new_id

NOTE: Final = "feed-read"
RENEWED: Final = 60.0  # seconds after which a session that reads on gets a new entry
IDLE: Final = 60.0  # seconds without an event after which a session is closed
AHEAD: Final = 1000  # offsets that an entry covers
MOST_RANGES: Final = 20  # in one entry; more become one range that holds all
State = Literal["opened", "renewed", "closed", "counted"]
Range = tuple[int, int]  # the first and the last offset


class Reader(NamedTuple):
    """Who reads which feed: `agency/system`, the contract, and the grants that allow it, the deciding one first."""

    system: str
    contract: str
    grants: tuple[str, ...]


class Span(NamedTuple):
    """The events of one page: first and last offset, number, the agencies whose messages and answers they hold, changed
    ones.
    """

    first: int
    last: int
    events: int
    owners: frozenset[str]
    tampered: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Session:
    id: str
    bound: Range
    at: float  # of its last entry
    owners: frozenset[str]
    used: float = 0.0  # when its last page left
    read: tuple[Range, ...] = ()  # since its last entry
    events: int = 0
    readings: int = 0

    def covers(self, span: Span, now: float) -> bool:
        inside = self.bound[0] <= span.first and span.last <= self.bound[1]
        return inside and span.owners <= self.owners and 0 <= now - self.at < RENEWED and not span.tampered

    def plus(self, span: Span, now: float) -> _Session:
        read = _merged((*self.read, (span.first, span.last)))
        return replace(self, used=now, read=read, events=self.events + span.events, readings=self.readings + 1)

    def facts(self) -> dict[str, Any]:
        return {"read": [list(each) for each in self.read], "events": self.events, "readings": self.readings}


@dataclass(frozen=True, slots=True)
class Due:
    """An entry to commit before the page leaves; `Sessions.committed` takes it afterwards."""

    facts: Mapping[str, Any]
    _session: _Session
    _span: Span


@dataclass(slots=True)
class Sessions:
    """The open sessions of one process. Between `due` and `committed` the caller holds `entry`."""

    entry: asyncio.Lock = field(default_factory=asyncio.Lock)
    _open: dict[Reader, _Session] = field(default_factory=dict)

    def covered(self, reader: Reader, span: Span, now: float) -> bool:
        """Whether the session's last entry covers the page. If so, the page is counted."""
        session = self._open.get(reader)
        if session is None or not session.covers(span, now):
            return False
        self._open[reader] = session.plus(span, now)
        return True

    def due(self, reader: Reader, span: Span, now: float) -> Due:
        """The entry that a page needs which is not covered."""
        session = self._open.get(reader)
        bound = (span.first, max(span.last, span.first + AHEAD - 1))
        owners = span.owners if session is None else session.owners | span.owners
        renewed = _Session(session.id if session is not None else new_id(int(now * 1000)), bound, now, owners)
        facts = _named(reader, renewed, "opened" if session is None else "renewed") | {"from": bound[0], "to": bound[1]}
        if session is not None:
            facts |= session.facts()
        if span.tampered:
            facts["tampered"] = list(span.tampered)
        return Due(facts, renewed, span)

    def committed(self, reader: Reader, due: Due, now: float) -> None:
        """Keeps a session whose entry is on disk, and counts the page that needed it."""
        self._open[reader] = due._session.plus(due._span, now)

    def closing(self, now: float, *, all: bool = False) -> Iterator[tuple[Reader, Mapping[str, Any]]]:
        """Ends the idle sessions, or all, and gives the facts of their last entries."""
        ended = [reader for reader, each in self._open.items() if all or not 0 <= now - each.used < IDLE]
        for reader in ended:
            session = self._open.pop(reader)
            yield reader, _named(reader, session, "closed") | session.facts()


def counted(reader: Reader, span: Span | None) -> dict[str, Any]:
    """The facts of a reading that a quota counts; `span` is None for one that found nothing."""
    facts: dict[str, Any] = _of(reader) | {"state": "counted", "events": 0, "read": [], "readings": 1}
    if span is not None:
        facts |= {"events": span.events, "read": [[span.first, span.last]], "owners": sorted(span.owners)}
        if span.tampered:
            facts["tampered"] = list(span.tampered)
    return facts


def _named(reader: Reader, session: _Session, state: State) -> dict[str, Any]:
    return _of(reader) | {"session": session.id, "state": state, "owners": sorted(session.owners)}


def _of(reader: Reader) -> dict[str, Any]:
    facts: dict[str, Any] = {"contract": reader.contract, "grant": reader.grants[0]}
    if len(reader.grants) > 1:
        facts["also"] = list(reader.grants[1:])
    return facts


def _merged(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """The same offsets in ascending ranges that do not touch; one range that holds all if there are too many."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    if len(merged) > MOST_RANGES:
        return ((merged[0][0], merged[-1][1]),)
    return tuple(merged)
