"""Counts refusals by reason and agency over any span of the log, at a cost that hardly grows with it.

The log never changes, so the counts of whole blocks of entries that are indexed are kept in memory. Each time only what
lies before the first and after the last whole block is counted anew. The counts are by digests, as in the index.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, func, select

from gateway.audit.search.fields import OUTCOMES
from gateway.audit.search.index import watermark
from gateway.journal.schema import tables

BLOCK: Final = 16_384  # entries
BLOCKS: Final = 256  # kept at most; a span of more is counted in its newest ones alone
MOST: Final = 20_000  # refusals that one call counts in blocks that it does not know yet
_SPANS: Final = 8
_index: Final = tables.log_index.c
_Key = TypeVar("_Key")
Pair = tuple[int | None, int | None]  # the digests of failure and agency


class Counted(NamedTuple):
    """`capped`: only the newest of the span were counted."""

    pairs: Counter[Pair]
    capped: bool


class Tally:
    """The counts of one log."""

    def __init__(self) -> None:
        self._blocks: dict[int, Counter[Pair]] = {}
        self._spans: dict[tuple[int, int], Counter[Pair]] = {}
        self._lock = threading.Lock()

    def refusals(self, connection: Connection, since: int, until: int) -> Counted:
        """Of the entries `since` to before `until`."""
        first, last = -(-since // BLOCK), min(until, watermark(connection).upto) // BLOCK
        if first >= last:
            return Counted(_count(connection, since, until), False)
        oldest = max(first, last - BLOCKS)
        whole, capped = self._whole(connection, oldest, last)
        capped = capped or oldest > first
        pairs = whole + _count(connection, last * BLOCK, until)
        return Counted(pairs if capped else pairs + _count(connection, since, first * BLOCK), capped)

    def _whole(self, connection: Connection, first: int, last: int) -> tuple[Counter[Pair], bool]:
        if (known := self._spans.get((first, last))) is not None:
            return known, False
        pairs, left = Counter[Pair](), MOST
        for block in range(last - 1, first - 1, -1):
            own = self._blocks.get(block)
            if own is None:
                if left <= 0:
                    return pairs, True  # the next call goes on from here
                own = _count(connection, block * BLOCK, (block + 1) * BLOCK)
                left -= own.total()
                with self._lock:
                    _keep(self._blocks, block, own, BLOCKS * 2)
            pairs.update(own)
        with self._lock:
            _keep(self._spans, (first, last), pairs, _SPANS)
        return pairs, False


def _keep(kept: dict[_Key, Counter[Pair]], key: _Key, value: Counter[Pair], most: int) -> None:
    """The newest `most`."""
    while len(kept) >= most:
        kept.pop(next(iter(kept)), None)
    kept[key] = value


def _count(connection: Connection, since: int, until: int) -> Counter[Pair]:
    refused = _index.outcome == OUTCOMES["refused"]
    rows = connection.execute(
        select(_index.failure, _index.agency, func.count())
        .where(refused, _index.idx >= since, _index.idx < until)
        .group_by(_index.failure, _index.agency)
    )
    return Counter({(failure, agency): int(number) for failure, agency, number in rows})


_TALLIES: Final[WeakKeyDictionary[Engine, Tally]] = WeakKeyDictionary()


def tally_of(engine: Engine) -> Tally:
    """That of this database, one in a process."""
    return _TALLIES.setdefault(engine, Tally())
