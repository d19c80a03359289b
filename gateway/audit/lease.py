"""The lease of the leading keeper. Each taking raises its epoch; who writes as leader checks the epoch inside the same transaction.

Invariant: two holders may both believe that they lead, but only the one of the newest epoch can commit; the other's transaction fails
before it has written anything. The clock decides only when somebody else may try.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

import gateway.failures  # noqa: F401  registers the codes raised here
from contracts.base.errors import Ours
from gateway.journal.tables import lease as table

KEEPER: Final = "keeper"
LEASE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Lease:
    """What a leader carries: its proof is (name, holder, epoch)."""

    name: str
    holder: str
    epoch: int


def take(
    connection: Connection, holder: str, now: float, *, name: str = KEEPER, seconds: float = LEASE_SECONDS, over: str | None = None
) -> Lease | None:
    """Take a lease that is free or has run out; or that of `over`, a holder known to be dead. None while somebody else has it."""
    insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    free = table.c.until < now
    if over is not None:
        free = free | (table.c.holder == over)
    taken = connection.execute(
        insert(table)
        .values(name=name, holder=holder, epoch=1, until=now + seconds)
        .on_conflict_do_update(
            index_elements=[table.c.name], set_={"holder": holder, "epoch": table.c.epoch + 1, "until": now + seconds}, where=free
        )
        .returning(table.c.epoch)
    ).first()
    return None if taken is None else Lease(name, holder, int(taken[0]))


def renew(connection: Connection, lease: Lease, now: float, seconds: float = LEASE_SECONDS) -> bool:
    """Hold it for longer; False if it belongs to somebody else by now."""
    return connection.execute(update(table).where(*_mine(lease)).values(until=now + seconds)).rowcount == 1


def give_back(connection: Connection, lease: Lease) -> None:
    """Let others take it at once."""
    connection.execute(update(table).where(*_mine(lease)).values(until=0.0))


def check(connection: Connection, lease: Lease) -> None:
    """Hold the lease's row until the end of this transaction; a failure if a newer epoch has begun."""
    row = connection.execute(select(table.c.holder, table.c.epoch).where(table.c.name == lease.name).with_for_update()).first()
    if row is None or (row[0], row[1]) != (lease.holder, lease.epoch):
        raise Ours("audit.lease-lost", name=lease.name, epoch=lease.epoch)


def holder(connection: Connection, name: str = KEEPER) -> str | None:
    """Who holds the lease, or held it last."""
    return connection.execute(select(table.c.holder).where(table.c.name == name)).scalar()


def _mine(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return table.c.name == lease.name, table.c.holder == lease.holder, table.c.epoch == lease.epoch
