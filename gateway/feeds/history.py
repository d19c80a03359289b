"""What stood in a feed at a past time: rows of business keys as they were before later messages changed them.

Theory of operation
1. Whoever changes a row of `feed_key` copies it to `feed_key_past`, with the transfer that replaced it.
2. A row stood at a place in the feed if the event that made it lies there or before, and that which replaced it after.
3. The rows are walked in the order of their transfers, so each page looks at a bounded number of them.
Rows that were replaced before there was such a table, or that older events got later (`rekeying`), are not known. Since
when a feed's states are known stands in `instance`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select, union

from contracts.base.times import rfc3339
from gateway.feeds.errors import FEED_NO_HISTORY
from gateway.feeds.keys import LIVE
from gateway.journal.schema import tables
from gateway.journal.values import keep
from gateway.journal.write import KeyRow
from gateway.transfer.key_seals import HISTORY

_PAGE: Final = 500
_key: Final = tables.feed_key.c
_past: Final = tables.feed_key_past.c
_event: Final = tables.feed_event.c


class Stood(NamedTuple):
    """The transfers of a page, and the rows of each that stood; `more`: there are further transfers."""

    transfers: Sequence[str]
    rows: dict[str, list[KeyRow]]
    more: bool


def begin(connection: Connection, contract: str, now: float) -> None:
    """The states of this feed are known from now on."""
    keep(connection, f"{HISTORY} {contract}", repr(now))


def check(connection: Connection, contract: str, time: float) -> None:
    """`feed.no-history` for a time from which the states of the feed are not known."""
    table = tables.instance.c
    values = connection.scalars(select(table.value).where(table.key.in_((HISTORY, f"{HISTORY} {contract}")))).all()
    since = max(map(float, values), default=0.0)
    if time < since:
        raise FEED_NO_HISTORY(contract=contract, since=rfc3339(since + 0.001))


def stood(connection: Connection, contract: str, after: str, limit: int, head: int) -> Stood:
    """What stood when `head` was the newest offset: of up to `limit` transfers behind `after`."""
    live = [
        select(each.transfer)
        .where(each.contract == contract, each.state == LIVE, each.transfer > after)
        .distinct()
        .order_by(each.transfer)
        .limit(limit + 1)
        .subquery()
        for each in (_key, _past)
    ]
    both = union(*(select(each.c.transfer) for each in live)).subquery()
    found = list(connection.scalars(select(both.c.transfer).order_by(both.c.transfer).limit(limit + 1)))
    transfers = found[:limit]
    columns = KeyRow._fields
    now = select(*(_key[name] for name in columns)).where(
        _key.contract == contract, _key.state == LIVE, _key.transfer.in_(transfers)
    )
    before = select(*(_past[name] for name in columns), _past.replaced).where(
        _past.contract == contract, _past.state == LIVE, _past.transfer.in_(transfers)
    )
    rows: list[tuple[KeyRow, Any]] = [(KeyRow(*row), None) for row in connection.execute(now)]
    rows += [(KeyRow(*row[:-1]), row[-1]) for row in connection.execute(before)]
    places = _offsets(connection, {id for row, replaced in rows for id in (row.transfer, replaced) if id is not None})
    stands: dict[str, list[KeyRow]] = {}
    for row, replaced in rows:
        made, ended = places.get(row.transfer), places.get(replaced)
        if made is not None and made <= head and (ended is None or ended > head):
            stands.setdefault(row.transfer, []).append(row)
    return Stood(transfers, stands, len(found) > limit)


def _offsets(connection: Connection, transfers: Collection[str]) -> dict[str | None, int]:
    """Of the events of these transfers, as far as they are sequenced."""
    ids, places = sorted(transfers), dict[str | None, int]()
    for start in range(0, len(ids), _PAGE):
        query = select(_event.transfer, _event.offset).where(_event.transfer.in_(ids[start : start + _PAGE]))
        places.update((row.transfer, row.offset) for row in connection.execute(query))
    return places
