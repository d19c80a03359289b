"""Finds places in a feed: where a cursor stands, and which events were sequenced within a time.

Theory of operation
1. The sequencer never takes a time before that of an earlier event. So the first event at or after a moment is found by
   bisection over the offsets.
2. A range up to a moment is complete as soon as something was sequenced or signed at that moment or later. Nothing that
   is sequenced afterwards can lie before it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from contracts.base.errors import Finding, Theirs
from contracts.base.times import moment as moment
from gateway.feeds import cursor as cursors
from gateway.feeds.errors import FEED_BAD_CURSOR, FEED_OTHER_LOG, FEED_RESTORED
from gateway.journal import epochs, feed_log
from gateway.journal.schema import tables

_event: Final = tables.feed_event.c


class Times(NamedTuple):
    """Of sequencing, in Unix seconds: at or after `since`, before `until`. None: no bound."""

    since: float | None = None
    until: float | None = None


class Bounds(NamedTuple):
    """Offsets after `low`, up to `high` (None: no bound). `complete`: no event will come into the range any more."""

    low: int
    high: int | None
    complete: bool


ALWAYS: Final = Times()


def head(connection: Connection, contract: str) -> int:
    """The offset of the newest event; 0 if there is none."""
    return connection.scalar(select(func.max(_event.offset)).where(_event.contract == contract)) or 0


def bounds(connection: Connection, contract: str, after: str | None, times: Times) -> Bounds:
    """The offsets that a cursor and times leave. `feed.bad-cursor` for a cursor of another feed, `feed.other-log` for
    one of another log.
    """
    low = offsets(connection, after, (contract,))[contract]
    if times == ALWAYS:
        return Bounds(low, None, False)
    newest = head(connection, contract)
    if times.since is not None:
        low = max(low, _before(connection, contract, times.since, newest))
    if times.until is None:
        return Bounds(low, None, False)
    high = _before(connection, contract, times.until, newest)
    return Bounds(low, high, high < newest or _signed(connection) >= times.until)


def cursor_at(connection: Connection, contract: str, offset: int) -> str:
    """The cursor after the event of this offset."""
    return cursors.encode(contract, offset, feed_log.name(connection))


def offsets(connection: Connection, cursor: str | None, contracts: Collection[str]) -> dict[str, int]:
    """Where a cursor of these feeds stands; without one at their beginning."""
    if not cursor:
        return dict.fromkeys(contracts, 0)
    place = cursors.decode(cursor, contracts)
    if place.log and place.log != feed_log.name(connection):
        raise resynced(connection, FEED_OTHER_LOG(contract=", ".join(contracts)), contracts)
    return {contract: place.offsets[contract] for contract in contracts}


def resynced(connection: Connection, failure: Theirs, contracts: Collection[str], last: int = 0) -> Theirs:
    """The failure with where to go on: addresses of the states, the cursor after the last event that still holds."""
    log = feed_log.name(connection)
    failure.resync = {
        "states": [f"/feeds/{contract}/state" for contract in contracts],
        "after": cursors.encode_all(dict.fromkeys(contracts, last), log),
    }
    return failure


def before(connection: Connection, contract: str, time: float) -> int:
    """The offset of the last event that was sequenced before a time; 0 if there is none."""
    return _before(connection, contract, time, head(connection, contract))


def check(connection: Connection, contract: str, offset: int) -> None:
    """Refuses a cursor whose event does not exist: it was lost in a restore, or never existed."""
    last = (
        connection.scalar(select(func.max(_event.offset)).where(_event.contract == contract, _event.offset <= offset))
        or 0
    )
    if last == offset:
        return
    if epochs.epoch(connection):
        again = cursor_at(connection, contract, last)
        finding = Finding("after", "", "a cursor of what the restore lost", "restored", again)
        restored = FEED_RESTORED(findings=[finding], contract=contract, last=last, cursor=again)
        raise resynced(connection, restored, (contract,), last)
    raise FEED_BAD_CURSOR(contract=contract, reason=cursors.words("cursor.beyond"))


def _before(connection: Connection, contract: str, time: float, newest: int) -> int:
    """The offset of the last event before a time; 0 if there is none. Offsets of an epoch lie far above the last."""
    low, high = 0, newest + 1  # the event that is looked for has an offset of `low` + 1 to `high`
    while low + 1 < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(_event.offset, _event.sequenced)
            .where(_event.contract == contract, _event.offset >= middle, _event.offset < high)
            .order_by(_event.offset)
            .limit(1)
        ).first()
        if row is None or row.sequenced >= time:
            high = middle
        else:
            low = int(row.offset)
    return low


def _signed(connection: Connection) -> float:
    """When the newest checkpoint was signed."""
    return connection.scalar(select(func.max(tables.checkpoint.c.signed))) or 0.0
