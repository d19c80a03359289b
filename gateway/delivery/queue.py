"""Takes up due rows of the queue and reads what their delivery needs.

Invariant: one transaction leases a row, assigns its transfer to this process, and checks the leader's epoch. So no
  message is out with two keepers, and the transfer's row names the keeper.
Invariant: the transfer and its sealed body decide what is sent, and to whom. A row of the queue only says when.
Invariant: on PostgreSQL, rows locked by another transaction are skipped.
Invariant: of the messages with one order key only the first open one is taken up. One that was given up or is in doubt
  stays open (`held`) until a person settles it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Table,
    and_,
    exists,
    or_,
    select,
    text,
    union_all,
    update,
)

from adapters.errors import PROVIDER_DOWN
from contracts.canonical.model import Pattern, Priority
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

WAITING, LEASED, HELD, DONE, DEAD = "waiting", "leased", "held", "done", "dead"
OPEN: Final = (WAITING, LEASED, HELD)  # a message in one of these states holds up the later ones of its key
PRIORITIES: Final[Mapping[Priority, int]] = {"high": 0, "normal": 5, "low": 9}
URGENT: Final = PRIORITIES["high"]
WANTED, CALLED, UNCALLED = "wanted", "done", "dead"  # a callback
AWAY: Final = (PROVIDER_DOWN.code, PROVIDER_RESTING.code)  # last failures of messages whose provider is away
# A step of the index for each provider: DISTINCT would read all that waits.
_PROVIDERS: Final = text(
    """
    WITH RECURSIVE waiting (name) AS (
        SELECT MIN(provider) FROM queue WHERE state = 'waiting'
        UNION ALL
        SELECT (SELECT MIN(provider) FROM queue WHERE state = 'waiting' AND provider > waiting.name)
        FROM waiting WHERE waiting.name IS NOT NULL
    )
    SELECT name FROM waiting WHERE name IS NOT NULL
    """
)
_DONE: Final = frozenset({State.ANSWERED, State.ACCEPTED, State.FAILED})  # of a transfer that ended another way


@dataclass(frozen=True, slots=True)
class Job:
    """A message that was taken up: its transfer is `forwarding` in this process. The transfer's `row` decides;
    `provider` and `body_ref` of the queue's row are only checked against it.
    """

    row: Row[Any]
    place: QueueRow
    process: str

    @classmethod
    def of(cls, row: Any, process: str) -> Job:
        """Of a row of `placed()`."""
        return cls(row, QueueRow(*(getattr(row, f"queue_{name}") for name in QueueRow._fields)), process)

    @property
    def provider(self) -> str:
        return self.place.provider

    @property
    def body_ref(self) -> str:
        return self.place.body_ref

    @property
    def tries(self) -> int:
        return self.place.tries

    @property
    def ordered(self) -> bool:
        """Whether it holds up later messages of its key."""
        return self.place.order_key is not None

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
    def repeatable(self) -> bool:
        """Whether it may be sent again although its receiver may have acted on it. A query changes nothing."""
        return bool(self.row.idempotent) or self.row.pattern == Pattern.QUERY

    @property
    def open(self) -> OpenTransfer:
        """The transfer before its request was opened."""
        return OpenTransfer(self.transfer, self.process, self.provider)

    def queued(self, state: str, at: float, tries: int, last_failure: str | None) -> QueueRow:
        """The new row of the queue."""
        return self.place._replace(next_at=at, state=state, tries=tries, last_failure=last_failure)


@dataclass(frozen=True, slots=True)
class Contents:
    """What the vault and the log hold of a message, checked against its rows."""

    body: bytes
    salt: bytes
    intent_leaf: bytes
    spool: Spool | None = None  # of its large contents


class Taking(NamedTuple):
    """The limits of one round: at most `limit` messages in all, and `each` that are out to one provider at a time.

    Those `in_hand` are left out: their keeper still writes how they went. So are messages of `resting` providers.
    One message at a time goes to each provider in `tried`. `out` counts the running deliveries of each provider. A
    provider that has some gets `beside` more urgent ones than `each`. Urgent ones may exceed `limit` by `beyond`.
    `room` limits single providers.
    """

    process: str  # the new owner of the transfers
    now: float
    limit: int
    in_hand: Collection[str] = ()
    resting: Collection[str] = ()
    tried: Collection[str] = ()
    each: int = 8
    out: Mapping[str, int] = MappingProxyType({})
    beside: int = 0
    beyond: int = 0
    room: Callable[[str], int] | None = None

    def most(self, provider: str) -> int:
        """How many messages of any priority this provider may get."""
        if provider in self.resting:
            return 0
        at_once = 1 if provider in self.tried else self.each
        return max(0, min(at_once - self.out.get(provider, 0), self._room(provider)))

    def most_urgent(self, provider: str) -> int:
        """The same of the urgent ones alone."""
        out = self.out.get(provider, 0)
        if out == 0 or provider in self.resting or provider in self.tried:
            return self.most(provider)
        return max(0, min(self.each + self.beside - out, self._room(provider)))

    def _room(self, provider: str) -> int:
        return self.each if self.room is None else max(0, self.room(provider))


def placed() -> Select[Any]:
    """Queued transfers, with the columns of their places; a `Job` is made `of` such a row."""
    queue, transfer = tables.queue, tables.transfer
    own = [queue.c[name].label(f"queue_{name}") for name in QueueRow._fields]
    return select(*own, transfer).select_from(queue.join(transfer, transfer.c.id == queue.c.transfer))


def take_due(engine: Engine, lock: FileLock | None, lease: Lease, taking: Taking) -> list[Job]:
    """Takes up messages that are due: urgent ones first, then the longest waiting."""
    queue, transfer = tables.queue, tables.transfer
    with engine.connect() as connection:  # usually nothing is due: no write lock is taken
        due = [each for provider in _providers(connection) for each in _due(connection, provider, taking)]
    due = sorted(each for each in due if each[2] not in taking.in_hand)
    urgent = [each for each in due if each[0] == URGENT][: max(0, taking.limit) + taking.beyond]
    ordinary = [each for each in due if each[0] != URGENT][: max(0, taking.limit - len(urgent))]
    wanted = [each[2] for each in (*urgent, *ordinary)]
    if not wanted:
        return []
    rows = (
        placed()
        .where(queue.c.transfer.in_(wanted), queue.c.state == WAITING, _is_first(queue))
        .order_by(queue.c.priority, queue.c.next_at, queue.c.transfer)
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
            jobs.append(Job.of(row, taking.process))
    return jobs


def comes_due(engine: Engine, before: float) -> bool:
    """Whether a message waits that may be sent before that time."""
    queue = tables.queue
    with engine.connect() as connection:
        soon = select(queue.c.transfer).where(queue.c.state == WAITING, queue.c.next_at < before).limit(1)
        return connection.execute(soon).first() is not None


def _providers(connection: Connection) -> list[str]:
    """Those that messages wait for; one step of an index for each."""
    return list(connection.scalars(_PROVIDERS))


def _due(connection: Connection, provider: str, taking: Taking) -> list[tuple[int, float, str]]:
    """(priority, time, id) of the due messages that this provider may get now, the first of each key only."""
    queue, parts = tables.queue, []
    for priority in sorted(PRIORITIES.values()):
        most = taking.most_urgent(provider) if priority == URGENT else taking.most(provider)
        if most > 0:
            part = (
                select(queue.c.priority, queue.c.next_at, queue.c.transfer)
                .where(
                    queue.c.state == WAITING,
                    queue.c.provider == provider,
                    queue.c.priority == priority,
                    queue.c.next_at <= taking.now,
                    _is_first(queue),
                )
                .order_by(queue.c.next_at, queue.c.transfer)
                .limit(most)
            )
            parts.append(select(part.subquery()))
    if not parts:
        return []
    rows = [(int(row[0]), float(row[1]), str(row[2])) for row in connection.execute(union_all(*parts))]
    rows.sort()
    return rows[: max(taking.most(provider), taking.most_urgent(provider))]


def _is_first(queue: Table) -> ColumnElement[bool]:
    """Whether no earlier message of its key is open, whatever it waits for."""
    earlier = queue.alias("earlier")
    before = or_(
        earlier.c.place < queue.c.place,
        and_(earlier.c.place == queue.c.place, earlier.c.transfer < queue.c.transfer),
    )
    return or_(
        queue.c.order_key.is_(None),
        ~exists().where(earlier.c.order_key == queue.c.order_key, earlier.c.state.in_(OPEN), before),
    )


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
