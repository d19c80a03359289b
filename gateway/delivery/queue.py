"""Takes up due rows of the queue and reads what their delivery needs.

Invariant: one transaction leases a row, assigns its transfer to this process, and checks the leader's epoch. So no
  message is out with two keepers, and the transfer's row names the keeper.
Invariant: the transfer and its sealed body decide what is sent, and to whom. A row of the queue only says when.
Invariant: on PostgreSQL, rows locked by another transaction are skipped.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, Row, Select, case, func, select, update

from adapters.errors import PROVIDER_DOWN
from contracts.wire.attachments import Spool
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
from gateway.vault import attachments
from gateway.vault.integrity import check_bound, intent_of, request_of, tampered
from gateway.vault.vault import Vault

WAITING, LEASED, DONE, DEAD = "waiting", "leased", "done", "dead"
AWAY: Final = (PROVIDER_DOWN.code, PROVIDER_RESTING.code)  # last failures of messages whose provider is away
_DONE: Final = frozenset({State.ANSWERED, State.ACCEPTED, State.FAILED})  # of a transfer that ended another way


@dataclass(frozen=True, slots=True)
class Job:
    """A message that was taken up: its transfer is `forwarding` in this process. The transfer's `row` decides;
    `provider` and `body_ref` of the queue's row are only checked against it.
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
        """The transfer before its request was opened."""
        return OpenTransfer(self.transfer, self.process, self.provider)

    def queued(self, state: str, at: float, tries: int, last_failure: str | None) -> QueueRow:
        """The new row of the queue."""
        return QueueRow(
            transfer=self.transfer,
            provider=self.provider,
            body_ref=self.body_ref,
            next_at=at,
            state=state,
            tries=tries,
            last_failure=last_failure,
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """What the vault and the log hold of a message, checked against its rows."""

    body: bytes
    salt: bytes
    intent_leaf: bytes
    spool: Spool | None = None  # of its large contents


class Taking(NamedTuple):
    """The limits of one round: at most `limit` messages in all and `each` for a provider.

    Messages of `resting` providers are left out. One message goes to each provider in `tried`.
    """

    process: str  # the new owner of the transfers
    now: float
    limit: int
    resting: Collection[str] = ()
    tried: Collection[str] = ()
    each: int = 8


def take_due(engine: Engine, lock: FileLock | None, lease: Lease, taking: Taking) -> list[Job]:
    """Takes up messages that are due, the longest waiting first."""
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
    with engine.connect() as connection:  # usually nothing is due: no write lock is taken
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
                # It ended another way, for example by a person's decision.
                connection.execute(leased.values(state=DONE if row.state in _DONE else DEAD, epoch=None))
                continue
            connection.execute(leased.values(state=LEASED, epoch=lease.epoch))
            jobs.append(Job(row, row.queue_provider, row.body_ref, int(row.tries), taking.process))
    return jobs


def _locking(due: Select[tuple[object, ...]]) -> Select[tuple[object, ...]]:
    return due.with_for_update(skip_locked=True, of=tables.queue)  # SQLite has no row locks and ignores this


def providers_away(engine: Engine) -> list[str]:
    """The providers that messages wait for because they were unreachable or rested."""
    queue = tables.queue
    with engine.connect() as connection:
        return list(
            connection.scalars(
                select(queue.c.provider).where(queue.c.state == WAITING, queue.c.last_failure.in_(AWAY)).distinct()
            )
        )


def bring_forward(engine: Engine, lock: FileLock | None, lease: Lease, provider: str, now: float) -> int:
    """Makes the messages due now that wait for this unreachable provider. Returns their number."""
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
    """What is to be sent. Raises `transfer.tampered` if queue, transfer row, log and vault contradict.

    Write access to the database is not enough to forge it: the body is sealed with the intent's leaf and the row's
    fixed columns.
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
    spool = None
    if attachments.mentions(body.plain):
        spool = attachments.stored(
            attachments.opener(engine, vault), id, lambda opened: check_bound(opened, job.row, intent)
        )
    return Contents(body.plain, salt, intent.leaf, spool)
