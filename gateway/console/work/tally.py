"""Counts entries by two facts over any span of the log, at a cost that hardly grows with it: refusals by reason and
agency, ends by contract and outcome.

The log never changes, so the counts of whole blocks of entries that are indexed are kept in memory. Each time only what
lies before the first and after the last whole block is counted anew. The counts are by digests, as in the index.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Column, ColumnElement, Connection, Engine, func, select

from gateway.audit.search.fields import OUTCOMES
from gateway.audit.search.index import watermark
from gateway.journal.schema import tables

BLOCK: Final = 16_384  # entries
BLOCKS: Final = 256  # kept at most; a span of more is counted in its newest ones alone
MOST: Final = 20_000  # refusals that one call counts in blocks that it does not know yet
_SPANS: Final = 8
_index: Final = tables.log_index.c
_Key = TypeVar("_Key")
Pair = tuple[int | None, int | None]  # the values of two columns of the index


class Counted(NamedTuple):
    """`capped`: only the newest of the span were counted."""

    pairs: Counter[Pair]
    capped: bool


class Tally:
    """The counts of one log: of the entries that match `which`, by the two `columns` of the index.

    `most`: entries that one call counts in blocks that it does not know yet.
    """

    def __init__(
        self, columns: tuple[Column[Any], Column[Any]], which: ColumnElement[bool], most: int | None = None
    ) -> None:
        self._columns, self._which, self._most = columns, which, most
        self._blocks: dict[int, Counter[Pair]] = {}
        self._spans: dict[tuple[int, int], Counter[Pair]] = {}
        self._lock = threading.Lock()

    def counted(self, connection: Connection, since: int, until: int) -> Counted:
        """Of the entries `since` to before `until`."""
        first, last = -(-since // BLOCK), min(until, watermark(connection).upto) // BLOCK
        if first >= last:
            return Counted(self._count(connection, since, until), False)
        oldest = max(first, last - BLOCKS)
        whole, capped = self._whole(connection, oldest, last)
        capped = capped or oldest > first
        pairs = whole + self._count(connection, last * BLOCK, until)
        return Counted(pairs if capped else pairs + self._count(connection, since, first * BLOCK), capped)

    def _whole(self, connection: Connection, first: int, last: int) -> tuple[Counter[Pair], bool]:
        if (known := self._spans.get((first, last))) is not None:
            return known, False
        pairs, left = Counter[Pair](), self._most
        for block in range(last - 1, first - 1, -1):
            own = self._blocks.get(block)
            if own is None:
                if left is not None and left <= 0:
                    return pairs, True  # the next call goes on from here
                own = self._count(connection, block * BLOCK, (block + 1) * BLOCK)
                left = None if left is None else left - own.total()
                with self._lock:
                    _keep(self._blocks, block, own, BLOCKS * 2)
            pairs.update(own)
        with self._lock:
            _keep(self._spans, (first, last), pairs, _SPANS)
        return pairs, False

    def _count(self, connection: Connection, since: int, until: int) -> Counter[Pair]:
        rows = connection.execute(
            select(*self._columns, func.count())
            .where(self._which, _index.idx >= since, _index.idx < until)
            .group_by(*self._columns)
        )
        return Counter({(one, other): int(number) for one, other, number in rows})


def _keep(kept: dict[_Key, Counter[Pair]], key: _Key, value: Counter[Pair], most: int) -> None:
    """The newest `most`."""
    while len(kept) >= most:
        kept.pop(next(iter(kept)), None)
    kept[key] = value


_REFUSALS: Final[WeakKeyDictionary[Engine, Tally]] = WeakKeyDictionary()
_ENDS: Final[WeakKeyDictionary[Engine, Tally]] = WeakKeyDictionary()


def refusals() -> Tally:
    """Refusals by the digests of failure and agency."""
    return Tally((_index.failure, _index.agency), _index.outcome == OUTCOMES["refused"], MOST)


def ends() -> Tally:
    """Ends of transfers by the digest of the contract and the code of the outcome."""
    # An expression: the rows are read in their order, and by no index of outcomes.
    return Tally((_index.contract, _index.outcome), (_index.outcome + 0).is_not(None))


def refusals_of(engine: Engine) -> Tally:
    """That of this database, one in a process."""
    return _REFUSALS.setdefault(engine, refusals())


def ends_of(engine: Engine) -> Tally:
    """That of this database, one in a process."""
    return _ENDS.setdefault(engine, ends())
