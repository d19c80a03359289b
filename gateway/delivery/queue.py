"""The queue's rows: taking up what is due, and reading what is needed to deliver it.

Invariants
- A row is leased, and its transfer handed to this process, in one transaction that checks the leader's epoch: so no
  message is ever out with two keepers, and what a dead keeper had in hand is found by its name in the transfer's row.
- What is sent, and to whom, is decided by the transfer and its sealed body; a row of the queue only says when.
- On PostgreSQL rows that another transaction holds are skipped, not waited for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, Row, Select, case, func, select, update

from adapters.errors import PROVIDER_DOWN
from gateway.delivery.errors import PROVIDER_RESTING
from gateway.journal.database import snapshot, writing
from gateway.journal.filelock import FileLock
from gateway.journal.logged import entry_of
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.transfer.stages import OpenTransfer
from gateway.transfer.states import Event, State, after
from gateway.vault.integrity import check_bound, intent_of, request_of, tampered
from gateway.vault.vault import Vault

WAITING, LEASED, DONE, DEAD = "waiting", "leased", "done", "dead"
AWAY: Final = (
    PROVIDER_DOWN.code,
    PROVIDER_RESTING.code,
)  # the last failures of messages that wait for a system to come back
_DONE: Final = frozenset({State.ANSWERED, State.ACCEPTED, State.FAILED})  # of a transfer that ended by another way


@dataclass(frozen=True, slots=True)
class Job:
    """A message that was taken up: its transfer is `forwarding`, and ours. `row` is the transfer's, by which everything
    is decided; of the queue's row `provider` and `body_ref` are kept only to be held against it.
    """

    row: Row[Any]
    provider: str
    body_ref: str
    tries: int
    process: str

    @property
    def transfer(self) -> str:
        return str(self.row.id)

    @property
    def first_at(self) -> float:
        return float(self.row.committed)

    @property
    def bundle(self) -> str:
        return str(self.row.bundle)

    @property
    def idempotent(self) -> bool:
        return bool(self.row.idempotent)

    @property
    def open(self) -> OpenTransfer:
        """As long as its request was not opened."""
        return OpenTransfer(self.transfer, self.process, self.provider)

    def queued(self, state: str, at: float, tries: int, last_failure: str | None) -> QueueRow:
        """The row of the queue from now on."""
        return QueueRow(self.transfer, self.provider, self.body_ref, at, state, tries, last_failure)


@dataclass(frozen=True, slots=True)
class Contents:
    """What the vault and the log hold of it, held against each other and against its rows."""

    body: bytes
    salt: bytes
    intent_leaf: bytes


class Taking(NamedTuple):
    """What one round takes up: at most `limit` messages, and at most `each` of a provider, since one that is slow must
    not hold up the others.

    Those of `resting` providers stay where they are; of a provider that is `tried`, one goes ahead.
    """

    process: str  # to whom the transfers belong from then on
    now: float
    limit: int
    resting: Collection[str] = ()
    tried: Collection[str] = ()
    each: int = 8


def take_due(engine: Engine, lock: FileLock | None, lease: Lease, taking: Taking) -> list[Job]:
    """Take up messages that are due, the longest waiting first."""
    queue, transfer = tables.queue, tables.transfer
    due = [queue.c.state == WAITING, queue.c.next_at <= taking.now]
    if taking.resting:
        due.append(queue.c.provider.not_in(list(taking.resting)))
    rank = (
        func.row_number()
        .over(partition_by=queue.c.provider, order_by=(queue.c.next_at, queue.c.transfer))
        .label("rank")
    )
    ranked = select(queue.c.transfer, queue.c.next_at, queue.c.provider, rank).where(*due).subquery()
    most = case((ranked.c.provider.in_(list(taking.tried)), 1), else_=taking.each) if taking.tried else taking.each
    with engine.connect() as connection:  # most of the time nothing is due: then no writer is kept waiting
        first = connection.execute(
            select(ranked.c.transfer)
            .where(ranked.c.rank <= most)
            .order_by(ranked.c.next_at, ranked.c.transfer)
            .limit(taking.limit)
        )
        wanted = [row.transfer for row in first]
    if not wanted:
        return []
    rows = (
        select(queue.c.provider.label("queue_provider"), queue.c.body_ref, queue.c.tries, transfer)
        .select_from(queue.join(transfer, transfer.c.id == queue.c.transfer))
        .where(queue.c.transfer.in_(wanted), queue.c.state == WAITING)
        .order_by(queue.c.next_at, queue.c.transfer)
    )
    taken = after(State.QUEUED, Event.TAKEN_UP).value
    jobs: list[Job] = []
    with writing(engine, lock) as connection:
        leases.check(connection, lease)
        for row in connection.execute(_locking(rows)):
            leased = update(queue).where(queue.c.transfer == row.id, queue.c.state == WAITING)
            step = update(transfer).where(transfer.c.id == row.id, transfer.c.state == State.QUEUED.value)
            if connection.execute(step.values(state=taken, process=taking.process)).rowcount != 1:
                # It ended by another way, as by a person's decision: the row only says so.
                connection.execute(leased.values(state=DONE if row.state in _DONE else DEAD, epoch=None))
                continue
            connection.execute(leased.values(state=LEASED, epoch=lease.epoch))
            jobs.append(Job(row, row.queue_provider, row.body_ref, int(row.tries), taking.process))
    return jobs


def _locking(due: Select[tuple[object, ...]]) -> Select[tuple[object, ...]]:
    return due.with_for_update(skip_locked=True, of=tables.queue)  # SQLite knows no row locks and leaves this out


def providers_away(engine: Engine) -> list[str]:
    """The providers that messages wait for since they could not be reached, or were left alone."""
    queue = tables.queue
    with engine.connect() as connection:
        return list(
            connection.scalars(
                select(queue.c.provider).where(queue.c.state == WAITING, queue.c.last_failure.in_(AWAY)).distinct()
            )
        )


def bring_forward(engine: Engine, lock: FileLock | None, lease: Lease, provider: str, now: float) -> int:
    """The messages that wait for this provider since it could not be reached are due now; how many they are."""
    queue = tables.queue
    waiting = (
        queue.c.provider == provider,
        queue.c.state == WAITING,
        queue.c.last_failure.in_(AWAY),
        queue.c.next_at > now,
    )
    with engine.connect() as connection:
        if connection.scalar(select(queue.c.transfer).where(*waiting).limit(1)) is None:
            return 0
    with writing(engine, lock) as connection:
        leases.check(connection, lease)
        return int(connection.execute(update(queue).where(*waiting).values(next_at=now)).rowcount)


def read_contents(engine: Engine, vault: Vault, job: Job) -> Contents:
    """What is to be sent. `transfer.tampered` where the queue, the transfer's row, the log and the vault do not all say
    the same.

    What the log says cannot be made up by whoever has the database: the body is sealed with the intent's leaf and the
    row's fixed columns.
    """
    id, body_ref = job.transfer, f"{job.transfer}/canonical"
    for column, said, true in (("provider", job.provider, job.row.provider), ("body_ref", job.body_ref, body_ref)):
        if said != true:
            raise tampered(id, f"queue.{column}")
    with snapshot(engine) as connection:
        intent = intent_of(connection, job.row)
        if entry_of(connection, id, "outcome") is not None:
            raise tampered(id, "transfer.state")
        body = vault.open_bound(connection, body_ref)
        check_bound(body, job.row, intent)
        salt, _ = request_of(connection, vault, job.row, intent)
    return Contents(body.plain, salt, intent.leaf)
