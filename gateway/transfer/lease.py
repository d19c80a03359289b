"""The lease of the leading keeper.

Each new holder raises the epoch. The leader checks the epoch inside each transaction that it writes.
Invariant: two holders may both believe that they lead, but only the one with the newest epoch can commit.
Invariant: a waiting process measures silence with its own clock. Clocks of different machines are never compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, case, select, update

from gateway.errors import AUDIT_LEASE_LOST
from gateway.journal.database import insert
from gateway.journal.schema.tables import lease as table

KEEPER: Final = "keeper"
# With a look each second, another keeper leads within 5 s of the holder's death, also where its end cannot be seen.
LEASE_SECONDS: Final = 3.0
SLEEP_SECONDS: Final = 10.0
COUNTED_SECONDS: Final = 1.5  # at most, of the time between two looks; keepers look each second


@dataclass(frozen=True, slots=True)
class Lease:
    """The proof of leadership: (name, holder, epoch)."""

    name: str
    holder: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The row of a lease as read. Each renewal changes it."""

    holder: str
    epoch: int
    until: float


class WatchedTime:
    """How long this process has watched others: seconds that go on only while it looks.

    A machine that stood still for a while has not seen the others silent. So of the time between two looks at most
    `COUNTED_SECONDS` count.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic: Final = monotonic
        self._watched, self._looked = 0.0, monotonic()

    def __call__(self) -> float:
        at = self._monotonic()
        self._watched += min(at - self._looked, COUNTED_SECONDS)
        self._looked = at
        return self._watched


class LeaseObserver:
    """Detects a lease that is no longer renewed, by the clock of this process."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic: Final = monotonic
        self._before: tuple[Seen, float] | None = None

    def forget(self) -> None:
        """Starts the measurement again, after this process could not read the database."""
        self._before = None

    def look(self, connection: Connection, name: str = KEEPER) -> Seen | None:
        """The lease if it was not renewed for the whole period, as argument for `take`; else None."""
        row = connection.execute(
            select(table.c.holder, table.c.epoch, table.c.until).where(table.c.name == name)
        ).first()
        now, seen = self._monotonic(), None if row is None else Seen(row[0], int(row[1]), float(row[2]))
        if seen is None or self._before is None or self._before[0] != seen:
            self._before = None if seen is None else (seen, now)
            return None
        return seen if now - self._before[1] >= LEASE_SECONDS else None


def take(
    connection: Connection,
    holder: str,
    now: float,
    *,
    seconds: float = LEASE_SECONDS,
    over: str | None = None,
    unmoved: Seen | None = None,
) -> Lease | None:
    """Takes the lease if it is free, or held by `over` (a dead holder), or unchanged since `unmoved`.

    `unmoved` comes from `LeaseObserver`. Returns None while another holder has the lease.
    """
    free = table.c.until <= 0.0
    if over is not None:
        free = free | (table.c.holder == over)
    if unmoved is not None:
        free = free | (
            (table.c.holder == unmoved.holder) & (table.c.epoch == unmoved.epoch) & (table.c.until == unmoved.until)
        )
    taken = connection.execute(
        insert(connection, table)
        .values(name=KEEPER, holder=holder, epoch=1, until=now + seconds)
        .on_conflict_do_update(
            index_elements=[table.c.name],
            set_={"holder": holder, "epoch": table.c.epoch + 1, "until": now + seconds},
            where=free,
        )
        .returning(table.c.epoch)
    ).first()
    return None if taken is None else Lease(KEEPER, holder, int(taken[0]))


def renew(connection: Connection, lease: Lease, now: float) -> bool:
    """Extends the lease. False if another holder has it. The row changes even if the clock does not."""
    end = now + LEASE_SECONDS
    until = case((table.c.until == end, end + 0.001), else_=end)
    return connection.execute(update(table).where(*_mine(lease)).values(until=until)).rowcount == 1


def give_back(connection: Connection, lease: Lease) -> None:
    """Releases the lease at once."""
    connection.execute(update(table).where(*_mine(lease)).values(until=0.0))


def check(connection: Connection, lease: Lease) -> None:
    """Locks the lease's row until the transaction ends. Raises if a newer epoch has begun.

    PostgreSQL ends the transaction of a leader that stops in the middle (a paused machine). Else the row would stay
    locked.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {int(SLEEP_SECONDS * 1000)}")
    row = connection.execute(
        select(table.c.holder, table.c.epoch).where(table.c.name == lease.name).with_for_update()
    ).first()
    if row is None or (row[0], row[1]) != (lease.holder, lease.epoch):
        raise AUDIT_LEASE_LOST(name=lease.name, epoch=lease.epoch)


def holder(connection: Connection) -> str | None:
    """The current or last holder."""
    return connection.execute(select(table.c.holder).where(table.c.name == KEEPER)).scalar()


def _mine(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return table.c.name == lease.name, table.c.holder == lease.holder, table.c.epoch == lease.epoch
