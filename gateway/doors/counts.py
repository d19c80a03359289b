"""Reads from the database what `/metrics`, `/readyz` and the status page tell: counts, ages, the lease.

Invariant: times of other machines are compared with the clock of PostgreSQL, which all machines share (`moment`).
Invariant: series by system and contract are bounded: the worst `NAMED` are told.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, func, select

from gateway.audit.witnessing.admission import patience
from gateway.audit.witnessing.config import policies, standing
from gateway.exchange.feed_readers import FeedReader
from gateway.journal import alone
from gateway.journal.database import moment
from gateway.journal.schema import tables
from gateway.journal.schema.push_tables import push_subscription
from gateway.journal.values import value_of
from gateway.push import store
from gateway.settings import Settings
from gateway.signals.listed import NAMED
from gateway.transfer.states import State

_SILENT_SECONDS: Final = 15.0
BACKUP: Final = "backup.last"  # in `instance`; `gateway.backup.manifest.LAST`, of a layer above
QUEUE: Final = ("waiting", "leased", "held", "done", "dead")
_OPEN: Final = ("waiting", "leased", "held")


class Waits(NamedTuple):
    """Messages of one contract that wait for one provider; seconds since the oldest was accepted."""

    system: str
    contract: str
    number: int
    oldest: float


class Lag(NamedTuple):
    """For how long the oldest event waits that a system's subscription to a feed has not taken."""

    system: str
    contract: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """Whether the log goes on, at one moment."""

    log_size: int
    log_pending: int
    checkpoint_age: float | None
    keepers: int
    alone: bool = False  # a person let it go on without a standby


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Pulse):
    """With counts by state, which cost more the more there is to count."""

    transfers: Mapping[str, int]
    queue: Mapping[str, int]
    quarantined: int = 0
    pushes: store.Totals = store.NOTHING
    alarms: Mapping[str, int] = field(default_factory=dict)  # open ones, by kind
    unacknowledged: int = 0
    readers: Sequence[FeedReader] = ()  # that have read: who never did is not late
    waits: Sequence[Waits] = ()
    lags: Sequence[Lag] = ()
    epoch: int | None = None  # of the lease; None: nobody ever led
    held: bool = True  # whether the lease is renewed
    ahead: float = 0.0  # seconds by which this machine's clock is ahead of PostgreSQL's
    backup_age: float | None = None
    late: Mapping[str, float] = field(default_factory=dict)  # seconds by which cosignatures and stamps are overdue


def count(connection: Connection, now: float) -> Counts:
    transfer, queue, now_is = tables.transfer, tables.queue, pulse(connection, now)
    by_state = connection.execute(select(transfer.c.state, func.count()).group_by(transfer.c.state)).all()
    queued = connection.execute(select(queue.c.state, func.count()).group_by(queue.c.state)).all()
    alarms, unacknowledged = _alarms(connection)
    return Counts(
        transfers={state.value: 0 for state in State} | {str(state): int(number) for state, number in by_state},
        queue=dict.fromkeys(QUEUE, 0) | {str(state): int(number) for state, number in queued},
        pushes=store.totals(connection, now),
        waits=_waits(connection, now),
        lags=_lags(connection, now),
        epoch=connection.scalar(select(tables.lease.c.epoch)),
        backup_age=_backup_age(connection, now),
        alarms=alarms,
        unacknowledged=unacknowledged,
        log_size=now_is.log_size,
        log_pending=now_is.log_pending,
        checkpoint_age=now_is.checkpoint_age,
        keepers=now_is.keepers,
        alone=now_is.alone,
    )


def _alarms(connection: Connection) -> tuple[dict[str, int], int]:
    """The open ones by kind, and how many of them nobody has acknowledged."""
    row = tables.alarm.c
    waits = func.count().filter(row.acknowledged.is_(None))
    query = select(row.kind, func.count(), waits).where(row.ended.is_(None), row.raised.is_not(None))
    found = connection.execute(query.group_by(row.kind)).all()
    return {str(kind): int(number) for kind, number, _ in found}, sum(int(each[2]) for each in found)


def pulse(connection: Connection, now: float) -> Pulse:
    process = tables.process
    newest = connection.execute(
        select(tables.checkpoint.c.size, tables.checkpoint.c.signed).order_by(tables.checkpoint.c.size.desc()).limit(1)
    ).first()
    pending = connection.execute(select(func.count()).select_from(tables.log_pending)).scalar_one()
    keepers = connection.execute(
        select(func.count())
        .select_from(process)
        .where(
            process.c.kind == "keeper",
            process.c.state == "alive",
            func.coalesce(process.c.heard, process.c.seen) > now - _SILENT_SECONDS,
        )
    ).scalar_one()
    return Pulse(
        log_size=int(newest[0]) if newest is not None else 0,
        log_pending=int(pending),
        checkpoint_age=max(0.0, now - float(newest[1])) if newest is not None else None,
        keepers=int(keepers),
        alone=alone.standing(connection) is not None,
    )


def _waits(connection: Connection, now: float) -> list[Waits]:
    queue, transfer = tables.queue.c, tables.transfer.c
    number, oldest = func.count(), func.min(transfer.committed)
    query = (
        select(queue.provider, transfer.contract, number, oldest)
        .select_from(tables.queue.join(tables.transfer, transfer.id == queue.transfer))
        .where(queue.state.in_(_OPEN))
        .group_by(queue.provider, transfer.contract)
        .order_by(oldest)
        .limit(NAMED)
    )
    rows = connection.execute(query).all()
    return [Waits(str(row[0]), str(row[1]), int(row[2]), max(0.0, now - float(row[3]))) for row in rows]


def _lags(connection: Connection, now: float) -> list[Lag]:
    """Of active subscriptions by system and feed, the longest first."""
    of, event = push_subscription.c, tables.feed_event.c
    after = (event.contract == of.contract, event.offset > of.position)
    first = select(func.min(event.offset)).where(*after).correlate(push_subscription).scalar_subquery()
    oldest = func.min(event.sequenced)
    query = (
        select(of.system, of.contract, oldest)
        .join_from(push_subscription, tables.feed_event, and_(event.contract == of.contract, event.offset == first))
        .where(of.state == "active")
        .group_by(of.system, of.contract)
        .order_by(oldest)
        .limit(NAMED)
    )
    return [Lag(str(row[0]), str(row[1]), max(0.0, now - float(row[2]))) for row in connection.execute(query)]


def _backup_age(connection: Connection, now: float) -> float | None:
    text = value_of(connection, BACKUP)
    return None if text is None else max(0.0, now - float(json.loads(text)["at"]))


def ahead(connection: Connection, clock: Callable[[], float]) -> float:
    """Seconds by which this machine's clock is ahead; the time that asking took does not count."""
    if connection.dialect.name == "sqlite":
        return 0.0
    before = clock()
    theirs = moment(connection, time.time)
    after = clock()
    return before - theirs if before > theirs else after - theirs if after < theirs else 0.0


def late(connection: Connection, settings: Settings, now: float) -> dict[str, float]:
    """Seconds by which each kind of witness is overdue, of those that the settings want."""
    return {kind: standing(connection, kind).late(now, patience(settings, kind)) or 0.0 for kind in policies(settings)}
