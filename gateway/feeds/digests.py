"""Finds the sealed digests of a feed in the log (`gateway.transfer.feed_digests`).

A period without an entry of a feed had no event of it, once the period's own entry stands.
Invariant: an entry has the id of its feed and the end of its period, so it is found without reading the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from gateway.feeds.places import before
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.journal.values import keep_first, value_of
from gateway.transfer.feed_digests import (
    DIGEST,
    MINUTE,
    PERIOD_ENDED,
    PERIODS,
    SEALED,
    Digest,
    id_of,
    page_of_leaves,
)
from security.transparency.merkle import Frontier
from security.transparency.periods import HOUR, begin_of, span_of

PERIOD: Final = "feed.period"  # in `instance`
_IDS: Final = 500  # are looked up at once
_NEWEST: Final = 10  # entries of periods: at most every second one only says that its period ended
_event: Final = tables.feed_event.c


class SealedDigest(NamedTuple):
    """A digest as its entry states it. `origin` is None in the present log."""

    digest: Digest
    id: str
    at: int
    entry: bytes
    origin: str | None


def begin_by_minutes(connection: Connection) -> None:
    """Of a new sandbox: people try it within minutes.

    An older one goes on by hours. Release 0.2.0 made it, may run beside this one, and takes no other period.
    """
    keep_first(connection, PERIOD, str(MINUTE))


def period_of(connection: Connection) -> int:
    """The seconds of a period that this instance seals."""
    return MINUTE if value_of(connection, PERIOD) == str(MINUTE) else HOUR


def sealed_until(connection: Connection) -> int | None:
    """Until when the periods are sealed, by the newest entry of one; None before the first."""
    pending, past = tables.log_pending.c, tables.past_entry.c
    waiting = select(pending.entry).where(pending.phase == PERIOD_ENDED).order_by(pending.id.desc())
    ended = select(past.entry).where(past.phase == PERIOD_ENDED).order_by(past.sequenced.desc(), past.idx.desc())
    until = _newest(connection, waiting)
    if until is None:
        until = logged_until(connection)
    return _newest(connection, ended) if until is None else until


def logged_until(connection: Connection) -> int | None:
    """The same of the present log alone."""
    table = tables.log_entry.c
    query = select(table.entry).where(tables.NOTES, table.phase == PERIOD_ENDED).order_by(table.idx.desc())
    return _newest(connection, query)


def _newest(connection: Connection, query: Any) -> int | None:
    for entry in connection.scalars(query.limit(_NEWEST)):
        facts = parse(bytes(entry)).get("facts")
        if isinstance(facts, dict) and facts.get("state") == SEALED:
            return span_of(facts)[1]
    return None


def sealed(
    connection: Connection, contract: str, since: int, until: int, limit: int, period: int
) -> list[SealedDigest]:
    """Up to `limit` digests that end after `since`, up to `until`, oldest first. Both are full periods.

    `period`: the shortest that the log has. Longer ones are found too, for they end with one of these.
    """
    found: list[SealedDigest] = []
    while since < until and len(found) < limit:
        ends = range(since + period, min(until, since + _IDS * period) + 1, period)
        found += _read(connection, contract, [id_of(contract, end) for end in ends])
        since = ends[-1]
    return found[:limit]


def holds(connection: Connection, contract: str, offset: int, sequenced: float) -> bool | None:
    """Whether an event stands in its period as that was sealed; None if the period is not sealed yet."""
    ids = {id_of(contract, begin_of(sequenced, period) + period) for period in PERIODS}
    found = [
        each for each in _read(connection, contract, list(ids)) if each.digest.since <= sequenced < each.digest.until
    ]
    if not found:
        until = sealed_until(connection)
        return False if until is not None and until > sequenced else None
    digest, tree = found[0].digest, Frontier()
    after = digest.after
    while page := page_of_leaves(connection, contract, after, digest.last):
        tree.extend(leaf for _, _, leaf in page)
        after = page[-1][0]
    within = digest.after < offset <= digest.last
    return within and (tree.size, tree.root.hex()) == (digest.events, digest.root)


def first_period(connection: Connection, contract: str, period: int) -> int | None:
    """When the period of the first event began."""
    query = select(_event.sequenced).where(_event.contract == contract).order_by(_event.offset).limit(1)
    first = connection.scalar(query)
    return None if first is None else begin_of(first, period)


def next_event(connection: Connection, contract: str, time: float) -> float | None:
    """When the first event was sequenced at or after a time."""
    after = before(connection, contract, time)
    query = select(_event.sequenced).where(_event.contract == contract, _event.offset > after)
    return connection.scalar(query.order_by(_event.offset).limit(1))


def _read(connection: Connection, contract: str, ids: Sequence[str]) -> list[SealedDigest]:
    found: dict[str, SealedDigest] = {}
    present, past = tables.log_entry.c, tables.past_entry.c
    for query in (
        select(past.transfer, past.idx, past.entry, past.origin).where(past.transfer.in_(ids), past.phase == DIGEST),
        select(present.transfer, present.idx, present.entry).where(present.transfer.in_(ids), present.phase == DIGEST),
    ):
        for id, index, entry, *ended in connection.execute(query):
            try:
                digest = Digest.of(parse(bytes(entry))["facts"])
            except (KeyError, TypeError, ValueError):  # `audit verify` tells of it
                continue
            if digest.contract == contract and id == id_of(contract, digest.until):
                found[id] = SealedDigest(digest, id, int(index), bytes(entry), ended[0] if ended else None)
    return sorted(found.values(), key=lambda each: each.digest.until)
