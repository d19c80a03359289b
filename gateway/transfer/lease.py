"""The lease of the leading keeper.

Each taking raises its epoch; who writes as leader checks the epoch inside the same transaction.

Invariant: two holders may both believe that they lead, but only the one of the newest epoch can commit; the other's
transaction fails before it has written anything. When somebody else may try is judged by the time of the one who waits
alone: a lease that he has not seen renewed for so long. What the holder's clock says decides nothing, for clocks of
different machines are never compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, case, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from gateway.errors import AUDIT_LEASE_LOST
from gateway.journal.schema.tables import lease as table

KEEPER: Final = "keeper"
LEASE_SECONDS: Final = 5.0
SLEEP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Lease:
    """What a leader carries: its proof is (name, holder, epoch)."""

    name: str
    holder: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The row of a lease as it was read; each renewal changes it."""

    holder: str
    epoch: int
    until: float


class LeaseObserver:
    """Whether a lease is still renewed, by the clock of this process; what stands in the row is only compared with what
    stood there before.
    """

    def __init__(self, monotonic: Callable[[], float], seconds: float = LEASE_SECONDS) -> None:
        self._monotonic: Final = monotonic
        self._seconds: Final = seconds
        self._before: tuple[Seen, float] | None = None

    def forget(self) -> None:
        """Start anew: after a time in which this process could not read the database, silence proves nothing."""
        self._before = None

    def look(self, connection: Connection, name: str = KEEPER) -> Seen | None:
        """The lease as it stands, if it was not renewed for so long; to be handed to `take`."""
        row = connection.execute(
            select(table.c.holder, table.c.epoch, table.c.until).where(table.c.name == name)
        ).first()
        now, seen = self._monotonic(), None if row is None else Seen(row[0], int(row[1]), float(row[2]))
        if seen is None or self._before is None or self._before[0] != seen:
            self._before = None if seen is None else (seen, now)
            return None
        return seen if now - self._before[1] >= self._seconds else None


def take(
    connection: Connection,
    holder: str,
    now: float,
    *,
    seconds: float = LEASE_SECONDS,
    over: str | None = None,
    unmoved: Seen | None = None,
) -> Lease | None:
    """Take a lease that is free; or that of `over`, a holder known to be dead; or one that stands as it did in
    `unmoved`, which `LeaseObserver` found to be renewed no more. None while somebody else has it.
    """
    insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    free = table.c.until <= 0.0
    if over is not None:
        free = free | (table.c.holder == over)
    if unmoved is not None:
        free = free | (
            (table.c.holder == unmoved.holder) & (table.c.epoch == unmoved.epoch) & (table.c.until == unmoved.until)
        )
    taken = connection.execute(
        insert(table)
        .values(name=KEEPER, holder=holder, epoch=1, until=now + seconds)
        .on_conflict_do_update(
            index_elements=[table.c.name],
            set_={"holder": holder, "epoch": table.c.epoch + 1, "until": now + seconds},
            where=free,
        )
        .returning(table.c.epoch)
    ).first()
    return None if taken is None else Lease(KEEPER, holder, int(taken[0]))


def renew(connection: Connection, lease: Lease, now: float, seconds: float = LEASE_SECONDS) -> bool:
    """Hold it for longer; False if it belongs to somebody else by now. The row changes even where the clock stands
    still.
    """
    until = case((table.c.until == now + seconds, now + seconds + 0.001), else_=now + seconds)
    return connection.execute(update(table).where(*_mine(lease)).values(until=until)).rowcount == 1


def give_back(connection: Connection, lease: Lease) -> None:
    """Let others take it at once."""
    connection.execute(update(table).where(*_mine(lease)).values(until=0.0))


def check(connection: Connection, lease: Lease) -> None:
    """Hold the lease's row until the end of this transaction; a failure if a newer epoch has begun.

    On PostgreSQL a leader that falls asleep in the middle (a paused machine) would hold the row, and so the lease, for
    as long as it sleeps: the server ends its transaction before that.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {int(SLEEP_SECONDS * 1000)}")
    row = connection.execute(
        select(table.c.holder, table.c.epoch).where(table.c.name == lease.name).with_for_update()
    ).first()
    if row is None or (row[0], row[1]) != (lease.holder, lease.epoch):
        raise AUDIT_LEASE_LOST(name=lease.name, epoch=lease.epoch)


def holder(connection: Connection, name: str = KEEPER) -> str | None:
    """Who holds the lease, or held it last."""
    return connection.execute(select(table.c.holder).where(table.c.name == name)).scalar()


def _mine(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return table.c.name == lease.name, table.c.holder == lease.holder, table.c.epoch == lease.epoch
