"""Retries a whole filtered set: one message first, the rest only after its answer has come.

1. A preview lists the set and gives its digest. A start names both, so that exactly the previewed set is retried. What
   has come since is not in it. What has left the list since is skipped.
2. The keeper orders the first message, the canary, and waits until its effect is seen. If it is answered, the rest
   follows, a few at a time. If it fails, the job stops.
3. A person stops and resumes a job. After a resume the next message is the canary.
4. It is done when nothing is left to order, and the effect of each ordered message is seen.
5. Who started it sealed the set, and what he stated of it. A job with another set, or one that goes on although the log
   says that it stopped, is ended (`queue.job-altered`), and nothing more is sent.

Invariant: a job is its rows: after a restart, of the desk or of the keeper, it goes on where it was.
Invariant: each retry is the same act as that of one message (`decisions.retry`), with an entry of its own in the log.
Invariant: what has changed since the start is skipped, with the reason.
Invariant: who can only write to the database starts and resumes none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, case, func, insert, select, update

from contracts.base.errors import Failure
from gateway.delivery import decisions, listing
from gateway.delivery.decisions import Act, Decision
from gateway.delivery.errors import QUEUE_CHANGED, QUEUE_JOB_ALTERED, QUEUE_NO_JOB
from gateway.delivery.listing import Wanted
from gateway.journal import jobs
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.jobs import DONE, RUNNING, STOPPED, Job
from gateway.journal.noted import read_notes
from gateway.journal.schema import tables
from gateway.journal.schema.console_tables import console_job_item as item
from gateway.registry.changes.orders import Orders
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.transfer.states import FINAL, State

KIND: Final = "bulk-retry"
CAP: Final = 500
REPEATABLE: Final = (listing.WAITS, listing.HOLDS, listing.IN_DOUBT)  # the lists that a bulk retry takes
AT_ONCE: Final = 25  # ordered in one step
_WAITING, _ORDERED, _SKIPPED = "waiting", "ordered", "skipped"


class Effect(StrEnum):
    """What has become of one message of a job."""

    WAITING = "waiting"  # not ordered yet
    SKIPPED = "skipped"
    ORDERED = "ordered"  # accepted by the queue: due, not sent yet
    SENT = "sent"  # under way
    ANSWERED = "answered"  # the provider's answer came
    AGAIN = "failed-again"  # sent, and failed; it waits for its next try
    FAILED = "failed"  # sent, and ended without an answer, or in doubt


_OPEN: Final = (Effect.ORDERED, Effect.SENT)  # what a job that has ordered everything still waits for


class Preview(NamedTuple):
    """`more`: the set is larger than a job may be, and these are its oldest."""

    transfers: tuple[str, ...]
    digest: str
    more: bool


class Progress(NamedTuple):
    job: Job
    wanted: Wanted
    counts: dict[Effect, int]
    total: int


class Item(NamedTuple):
    position: int
    transfer: str
    effect: Effect
    failure: str | None


def preview(connection: Connection, wanted: Wanted) -> Preview:
    page = listing.first(connection, wanted, CAP)
    transfers = tuple(each.transfer for each in page.messages)
    return Preview(transfers, _digest(transfers), page.next is not None)


def previewed(connection: Connection, wanted: Wanted, digest: str, transfers: Sequence[str] | None) -> Preview:
    """The preview of which somebody names the digest, and its transfers; without them the list as it is now.

    Raises `queue.changed` if the digest is not theirs.
    """
    if transfers is None:
        seen = preview(connection, wanted)
    else:
        seen = Preview(tuple(transfers), _digest(transfers), False)
    if seen.digest != digest or not 0 < len(set(seen.transfers)) == len(seen.transfers) <= CAP:
        raise QUEUE_CHANGED()
    return seen


def start(
    connection: Connection,
    orders: Orders,
    wanted: Wanted,
    seen: Preview,
    by: tuple[str, str],
    now: float,
    *,
    unsent: bool = False,
) -> Job:
    """Retries what was previewed and is still in the list. Raises `queue.changed` if nothing is. `by`: who, and why."""
    present = listing.members(connection, wanted, seen.transfers)
    if not present:
        raise QUEUE_CHANGED()
    subject = json.dumps({name: value for name, value in _named(wanted).items() if value is not None}, sort_keys=True)
    left = len(seen.transfers) - len(present)
    order = {"transfers": seen.digest, "unsent": unsent}
    job = orders.give(connection, (KIND, subject), order, by, now, phase="canary", canary=None, left=left)
    gone = {"state": _SKIPPED, "failure": QUEUE_CHANGED.code, "at": now}
    connection.execute(
        insert(item),
        [
            {"job": job.id, "position": position, "transfer": transfer}
            | ({"state": _WAITING, "failure": None, "at": None} if transfer in present else gone)
            for position, transfer in enumerate(seen.transfers)
        ],
    )
    facts = {"count": len(present), "left": left or None, "digest": seen.digest, **_named(wanted)}
    _note(connection, job, "started", by, now, **facts)
    return job


def stop(connection: Connection, id: str, by: tuple[str, str], now: float) -> Job:
    """What was ordered goes on; nothing more is ordered."""
    job = found(connection, id)
    if job.state == RUNNING:
        jobs.change(connection, job, now, STOPPED, why="person")
        _note(connection, job, "stopped", by, now)
    return found(connection, id)


def resume(connection: Connection, id: str, by: tuple[str, str], now: float) -> Job:
    job = found(connection, id)
    if job.state == STOPPED:
        jobs.change(connection, job, now, RUNNING, phase="canary", canary=None, why=None)
        _note(connection, job, "resumed", by, now)
    return found(connection, id)


def progress(connection: Connection, job: Job) -> Progress:
    counts = dict.fromkeys(Effect, 0)
    every = items(connection, job.id, CAP)
    for each in every:
        counts[each.effect] += 1
    return Progress(job, Wanted(**json.loads(job.subject)), counts, len(every))


def items(connection: Connection, job: str, limit: int = CAP, *, only: Sequence[int] | None = None) -> list[Item]:
    transfer, queue = tables.transfer, tables.queue
    query = (
        select(
            item,
            transfer.c.state.label("now"),
            queue.c.tries.label("tried"),
            case(
                (transfer.c.state.in_([each.value for each in FINAL]), transfer.c.failure),
                else_=func.coalesce(queue.c.last_failure, transfer.c.failure),
            ).label("last"),
        )
        .select_from(
            item.outerjoin(transfer, transfer.c.id == item.c.transfer).outerjoin(
                queue, queue.c.transfer == item.c.transfer
            )
        )
        .where(item.c.job == job)
        .order_by(item.c.position)
        .limit(limit)
    )
    if only is not None:
        query = query.where(item.c.position.in_(only))
    return [_item(row) for row in connection.execute(query)]


# --- the keeper -------------------------------------------------------------------------------------------------------
def step(engine: Engine, lock: FileLock | None, lease: Lease, orders: Orders, now: float) -> int:
    """Orders what is due of each running job. Returns the number of ordered messages."""
    with engine.connect() as connection:  # usually there is none: no write lock is taken
        waiting = jobs.running(connection, KIND)
    return sum(_step(engine, lock, lease, orders, job.id, now) for job in waiting)


def _step(engine: Engine, lock: FileLock | None, lease: Lease, orders: Orders, id: str, now: float) -> int:
    with writing(engine, lock) as connection:
        leases.check(connection, lease)
        job = jobs.find(connection, id, lock=True)
        if job is None or job.state != RUNNING:
            return 0
        canary = job.facts["canary"]
        if job.facts["phase"] == "canary" and canary is not None:
            (seen,) = items(connection, id, only=[canary])
            if seen.effect is Effect.ANSWERED:
                jobs.change(connection, job, now, phase="rest")
            elif seen.effect in (Effect.AGAIN, Effect.FAILED):
                jobs.change(connection, job, now, STOPPED, why="canary", failure=seen.failure)
                _note(connection, job, "stopped", ("gateway", None), now, failure=seen.failure)
            return 0
        order = _ordered(connection, orders, job)
        if order is None:
            jobs.change(connection, job, now, DONE, why="altered", failure=QUEUE_JOB_ALTERED.code)
            _note(connection, job, "ended", ("gateway", None), now, failure=QUEUE_JOB_ALTERED.code)
            return 0
        ordered = _order(connection, job, bool(order["unsent"]), 1 if job.facts["phase"] == "canary" else AT_ONCE, now)
        if not ordered and not _left(connection, id):
            if not any(each.effect in _OPEN for each in items(connection, id)):
                jobs.change(connection, job, now, DONE)
        elif ordered and job.facts["phase"] == "canary":
            jobs.change(connection, job, now, canary=ordered[0])
        return len(ordered)


def _left(connection: Connection, job: str) -> bool:
    query = select(item.c.position).where(item.c.job == job, item.c.state == _WAITING).limit(1)
    return connection.scalar(query) is not None


def _ordered(connection: Connection, orders: Orders, job: Job) -> Mapping[str, Any] | None:
    """What its person ordered; None if that is not what the rows say, or if the log says that it does not run."""
    try:
        order = orders.read(job)
    except Failure:
        return None
    rows = connection.scalars(select(item.c.transfer).where(item.c.job == job.id).order_by(item.c.position)).all()
    steps = [note.facts.get("how") for note in read_notes(connection, (KIND,)) if note.facts.get("job") == job.id]
    runs = bool(steps) and steps[-1] in ("started", "resumed")
    return order if runs and _digest(rows) == order["transfers"] else None


def _order(connection: Connection, job: Job, unsent: bool, most: int, now: float) -> list[int]:
    """Retries the next messages; those that cannot be retried any more are skipped."""
    queue = tables.queue.c
    rows = connection.execute(
        select(item.c.position, item.c.transfer)
        .where(item.c.job == job.id, item.c.state == _WAITING)
        .order_by(item.c.position)
        .limit(AT_ONCE)
    ).all()
    ordered: list[int] = []
    for row in rows:
        if len(ordered) == most:
            break
        try:
            decisions.retry(connection, _decision(job, row.transfer, unsent, now))
            # Only now: until its place was locked, a worker may have tried it once more.
            tries = connection.scalar(select(queue.tries).where(queue.transfer == row.transfer))
            values: dict[str, Any] = {"state": _ORDERED, "tries": tries or 1, "at": now}
            ordered.append(row.position)
        except Failure as failure:
            values = {"state": _SKIPPED, "failure": failure.code, "at": now}
        connection.execute(update(item).where(item.c.job == job.id, item.c.position == row.position).values(**values))
    return ordered


def _decision(job: Job, transfer: str, unsent: bool, now: float) -> Decision:
    return Decision(
        transfer=transfer,
        act=Act.RETRY,
        reason=job.reason,
        actor=job.actor,
        at=now,
        unsent=unsent,
        bulk=job.id,
    )


def _item(row: Any) -> Item:
    if row.state == _WAITING:
        return Item(row.position, row.transfer, Effect.WAITING, None)
    if row.state == _SKIPPED:
        return Item(row.position, row.transfer, Effect.SKIPPED, row.failure)
    effect = {
        State.ANSWERED.value: Effect.ANSWERED,
        State.FORWARDING.value: Effect.SENT,
        State.QUEUED.value: Effect.AGAIN if (row.tried or 0) > row.tries else Effect.ORDERED,
    }.get(row.now, Effect.FAILED)
    return Item(row.position, row.transfer, effect, row.last if effect in (Effect.AGAIN, Effect.FAILED) else None)


def found(connection: Connection, id: str) -> Job:
    """Raises `queue.no-job`."""
    job = jobs.find(connection, id, lock=True)
    if job is None or job.kind != KIND:
        raise QUEUE_NO_JOB(id=id)
    return job


def _note(connection: Connection, job: Job, how: str, by: tuple[str, str | None], now: float, **facts: Any) -> None:
    told = {"job": job.id, "how": how, "reason": by[1], **facts}
    note = {name: value for name, value in told.items() if value is not None}
    append(connection, [entries.note(KIND, note, now, actor=by[0])])


def _named(wanted: Wanted) -> dict[str, str | None]:
    return {"state": wanted.state, "provider": wanted.provider, "failure": wanted.failure}


def _digest(transfers: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(transfers).encode()).hexdigest()
