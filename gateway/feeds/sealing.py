"""Seals the periods of the feeds: computes the digests of each full one and appends them to the log.

Theory of operation
1. A period is over once something was sequenced in the log at its end or later. Sequencing times never go back, so no
   event can come into it any more. If nothing is sequenced, an entry is appended that says that the period ended.
2. The events of a period are read in pages, outside of any transaction that writes. The digests of all its feeds and
   the entry of the period are appended in one transaction, which checks the lease.
3. Periods that were not sealed while no keeper ran follow one after another. Those without events share one entry.
4. Periods shorter than an hour are sealed once one has an event, or an hour of them is over. So an instance without
   events has no more entries than one with hours; it looks for events once for each newest entry of the log.
Invariant: a period is sealed once. The newest entry of a period says where to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from sqlalchemy import Connection, Engine, select

from contracts.base.times import rfc3339
from gateway.feeds import digests
from gateway.feeds.places import before
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.feed_digests import (
    DIGEST,
    PAGE,
    PERIOD_ENDED,
    SEALED,
    Digest,
    contracts_with_events,
    id_of,
    page_of_leaves,
)
from gateway.transfer.lease import Lease
from security.transparency.merkle import Frontier
from security.transparency.periods import HOUR, begin_of, stated

GRACE: Final = 5.0  # seconds after a period in which something may be sequenced of itself


@dataclass(slots=True)
class Sealing:
    """One per keeper process; not for several threads at once."""

    engine: Engine
    lock: FileLock | None
    clock: Callable[[], float]
    _period: int = HOUR  # seconds, as the instance has it
    _epoch: int = -1
    _at: int | None = None  # until when the periods are sealed
    _ended: int = 0  # the newest period whose end was appended
    _looked: tuple[int, int] | None = None  # from when, and at which newest entry, events were looked for
    _first: float = inf  # when the first of them was sequenced
    _work: Iterator[None] | None = None

    def step(self, lease: Lease) -> bool:
        """Does a page of work. False: there was nothing to do."""
        if self._epoch != lease.epoch:
            self._epoch, self._at, self._work = lease.epoch, None, None
        try:
            if self._work is None:
                self._work = self._begin(lease)
                if self._work is None:
                    return False
            if next(self._work, True) is True:
                self._work = None
            return True
        except BaseException:
            self._epoch = -1  # read again where the periods stand
            raise

    def _begin(self, lease: Lease) -> Iterator[None] | None:
        with self.engine.connect() as connection:
            table = tables.log_entry.c
            newest = connection.execute(select(table.idx, table.sequenced).order_by(table.idx.desc()).limit(1)).first()
            if newest is None:
                return None
            if self._at is None:
                self._at, self._period = digests.sealed_until(connection), digests.period_of(connection)
            if self._at is None:
                begins = [
                    digests.first_period(connection, each, self._period) for each in contracts_with_events(connection)
                ]
                default = begin_of(newest.sequenced, self._period)
                self._at = min([begin for begin in begins if begin is not None], default=default)
            now = self.clock()
            over, ended = begin_of(newest.sequenced, self._period), begin_of(now - GRACE, self._period)
            until = max(over, ended)
            if until <= self._at or until - self._at < HOUR and not self._has_events(connection, until, newest.idx):
                return None
        if ended > max(over, self._ended):
            facts: dict[str, Any] = {"until": rfc3339(ended), "state": "ended", **stated(self._period)}
            self._append(lease, [entries.note(PERIOD_ENDED, facts, now, actor="keeper")])
            self._ended = ended
        return self._seal(self._at, over, lease) if over > self._at else None

    def _has_events(self, connection: Connection, until: int, newest: int) -> bool:
        """Whether something was sequenced since the last sealed period, and before `until`. `newest`: the index of the
        newest entry; while it stands, no event comes.
        """
        assert self._at is not None
        if self._looked != (self._at, newest):
            times = [digests.next_event(connection, name, self._at) for name in contracts_with_events(connection)]
            self._first = min([time for time in times if time is not None], default=inf)
            self._looked = (self._at, newest)
        return self._first < until

    def _seal(self, since: int, over: int, lease: Lease) -> Iterator[None]:
        """Seals the next period, or the periods without events before the next one that has some."""
        with self.engine.connect() as connection:
            names = list(contracts_with_events(connection))
            times = [digests.next_event(connection, name, since) for name in names]
        first = min([begin_of(time, self._period) for time in times if time is not None], default=over)
        made: list[Digest] = []
        if first > since:
            until = min(first, over)
        else:
            until = since + self._period
            for name in names:
                yield from self._digest(name, since, until, made)
        now = self.clock()
        rows = [
            entries.note(DIGEST, each.facts(), now, actor="keeper", about=id_of(each.contract, until)) for each in made
        ]
        facts: dict[str, Any] = {"since": rfc3339(since), "until": rfc3339(until), "state": SEALED, "feeds": len(made)}
        facts |= stated(self._period)
        rows.append(entries.note(PERIOD_ENDED, facts, now, actor="keeper", about=id_of("", until)))
        self._append(lease, rows)
        self._at = until

    def _digest(self, contract: str, since: int, until: int, made: list[Digest]) -> Iterator[None]:
        with self.engine.connect() as connection:
            low, high = before(connection, contract, since), before(connection, contract, until)
        tree, first, last = Frontier(), 0, low
        while last < high:
            with self.engine.connect() as connection:
                page = page_of_leaves(connection, contract, last, high, PAGE)
            if not page:
                break
            first = first or page[0][0]
            tree.extend(leaf for _, _, leaf in page)
            last = page[-1][0]
            yield
        if tree.size:
            made.append(
                Digest(
                    contract=contract,
                    since=since,
                    until=until,
                    after=low,
                    first=first,
                    last=last,
                    events=tree.size,
                    root=tree.root.hex(),
                )
            )

    def _append(self, lease: Lease, rows: list[LogRow]) -> None:
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            append(connection, rows)
