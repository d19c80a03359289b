"""Where the feeds stand: the newest event of each, and what is acknowledged but not in it yet."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from gateway.feeds.places import head, moment
from gateway.journal.schema import tables

MOST_PENDING: Final = 1000  # are counted
_event: Final = tables.feed_event.c
_pending: Final = tables.feed_pending.c


class Head(NamedTuple):
    """`newest`: id and time of sequencing of the newest event, None for an empty feed. `pending`: acknowledged messages
    that the sequencer has not taken yet. `oldest`: when the first of them was handed in.
    """

    offset: int
    newest: tuple[str, float] | None
    pending: int
    oldest: float | None


def head_of(connection: Connection, contract: str) -> Head:
    offset = head(connection, contract)
    row = connection.execute(
        select(_event.transfer, _event.sequenced).where(_event.contract == contract, _event.offset == offset)
    ).first()
    waiting = select(_pending.id, _pending.event).where(_pending.contract == contract).order_by(_pending.id)
    count = connection.scalar(select(func.count()).select_from(waiting.limit(MOST_PENDING).subquery()))
    first = connection.execute(waiting.limit(1)).first()
    oldest = None if first is None else moment(str(json.loads(first.event).get("time", "")))
    return Head(offset, None if row is None else (row.transfer, row.sequenced), count or 0, oldest)


def offsets(connection: Connection, contracts: Collection[str]) -> Mapping[str, int]:
    """The offset of the newest event of each feed; 0 if it has none."""
    return {contract: head(connection, contract) for contract in contracts}
