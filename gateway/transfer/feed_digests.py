"""Digests of feeds: what a period's entry in the log states, and how it follows from the rows of the feed.

A period is an hour, in a sandbox a minute (`security.transparency.periods`).

A digest gives the first and the last offset, the number of events, and the root over their leaves
(`security.transparency.event_leaves`). The entries of a feed follow one another: nothing lies between the last event of
one and the first of the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.ids import derived_id
from contracts.base.times import rfc3339
from gateway.journal.schema import tables
from security.transparency.event_leaves import leaf_of
from security.transparency.merkle import leaf_hash
from security.transparency.periods import HOUR, one_period, stated

DIGEST: Final = "feed-digest"
PERIOD_ENDED: Final = "feed-hour"  # its fact `state`: ended (nothing else tells that time went on), or sealed
SEALED: Final = "sealed"
MINUTE: Final = 60
PERIODS: Final = (HOUR, MINUTE)  # that there are
PAGE: Final = 1000
_event: Final = tables.feed_event.c


class Digest(NamedTuple):
    """`since` and `until` in Unix seconds, of one period. `after`, `first`, `last` are offsets: of the last event
    before the period (0: none), and of the first and last one in it. `root` in hex.
    """

    contract: str
    since: int
    until: int
    after: int
    first: int
    last: int
    events: int
    root: str

    def facts(self) -> dict[str, Any]:
        return {
            "contract": self.contract,
            "since": rfc3339(self.since),
            "until": rfc3339(self.until),
            "after": self.after,
            "from": self.first,
            "to": self.last,
            "events": self.events,
            "root": self.root,
            **stated(self.until - self.since),
        }

    @classmethod
    def of(cls, facts: Any) -> Digest:
        """Raises KeyError, TypeError or ValueError for other facts."""
        since, until = one_period(facts)
        return cls(
            contract=str(facts["contract"]),
            since=since,
            until=until,
            after=int(facts["after"]),
            first=int(facts["from"]),
            last=int(facts["to"]),
            events=int(facts["events"]),
            root=str(facts["root"]),
        )


def id_of(contract: str, until: int) -> str:
    """The id of the entry of a feed for the period that ends then; of the period itself with an empty contract."""
    return derived_id(f"feed digest\n{contract}\n{until}", until * 1000)


def leaf_of_row(event: str, offset: int, sequenced: float) -> bytes:
    """The leaf of a row of `feed_event`. An event that is no JSON object has one too, which no reader can have."""
    try:
        value = json.loads(event)
        return leaf_of(value | {"sequence": f"{offset:020d}", "sequencedtime": rfc3339(sequenced)})
    except (ValueError, TypeError):
        return leaf_hash(event.encode("utf-8", "surrogatepass"))


def page_of_leaves(
    connection: Connection, contract: str, low: int, high: int | None, limit: int = PAGE
) -> list[tuple[int, float, bytes]]:
    """(offset, time of sequencing, leaf) of up to `limit` events after `low`, up to `high` (None: no bound)."""
    query = (
        select(_event.offset, _event.event, _event.sequenced)
        .where(_event.contract == contract, _event.offset > low)
        .order_by(_event.offset)
        .limit(limit)
    )
    rows = connection.execute(query if high is None else query.where(_event.offset <= high)).all()
    return [(row.offset, row.sequenced, leaf_of_row(row.event, row.offset, row.sequenced)) for row in rows]


def contracts_with_events(connection: Connection) -> Iterator[str]:
    """The feeds that have events, by name. Each costs one look into the index."""
    name: str | None = ""
    while name is not None:
        query = select(_event.contract).where(_event.contract > name).order_by(_event.contract).limit(1)
        name = connection.scalar(query)
        if name is not None:
            yield name
