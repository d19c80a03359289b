"""An insider with the database alone orders work of the keeper: a bulk retry that nobody started, one with other
messages or another statement, one that goes on after it stopped, or a callback. Nothing is sent, nobody is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, delete, update

from gateway.delivery import bulk
from gateway.delivery.bulk import Effect
from gateway.delivery.listing import Wanted
from gateway.delivery.policy import RetryPolicy
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.jobs import Job
from gateway.journal.schema import tables
from gateway.journal.schema.console_tables import console_job, console_job_item
from gateway.registry.changes.orders import Orders
from tests.delivery.posting import Post, answering, post  # noqa: F401  the fixture
from tests.delivery.test_bulk import BY, noted, seen, start, step, waiting
from tests.delivery.test_callbacks import Receiver, calling, ended

KIND = pytest.mark.attack("delivery: a bulk retry planted or changed with the database alone")
CALLS = pytest.mark.attack("delivery: a callback wanted, or what it tells changed, with the database alone")
JOB, ITEM = console_job.c, console_job_item.c


def _facts(connection: Connection, job: Job, **facts: object) -> None:
    found = jobs.find(connection, job.id)
    assert found is not None
    values = json.dumps({**found.facts, **facts})
    connection.execute(update(console_job).where(JOB.id == job.id).values(facts=values))


def another_message(connection: Connection, job: Job, other: str) -> None:
    where = (ITEM.job == job.id, ITEM.position == 1)
    connection.execute(update(console_job_item).where(*where).values(transfer=other))


def one_taken_out(connection: Connection, job: Job, other: str) -> None:
    connection.execute(delete(console_job_item).where(ITEM.job == job.id, ITEM.position == 1))


def another_statement(connection: Connection, job: Job, other: str) -> None:
    found = jobs.find(connection, job.id)
    assert found is not None
    _facts(connection, job, order={**found.facts["order"], "unsent": True})


def another_person(connection: Connection, job: Job, other: str) -> None:
    connection.execute(update(console_job).where(JOB.id == job.id).values(actor="H14.0/minh: desk"))


def no_seal(connection: Connection, job: Job, other: str) -> None:
    """As of release 0.2.0."""
    _facts(connection, job, seal=None)


def changed(post: Post, transfer: str, **values: Any) -> None:  # noqa: F811
    with writing(post.engine) as connection:
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == transfer).values(**values))


@KIND
@pytest.mark.parametrize("change", [another_message, one_taken_out, another_statement, another_person, no_seal])
async def test_a_changed_job(post: Post, change: Callable[[Connection, Job, str], None]) -> None:  # noqa: F811
    await waiting(post, 3)
    job = start(post)
    other = await post.put_aside()
    with writing(post.engine) as connection:
        change(connection, job, other)
    assert step(post) == 0 and step(post) == 0 and seen(post, job)[0] == "done"
    assert [(each["facts"]["how"], each["actor"]) for each in noted(post)] == [("started", BY[0]), ("ended", "gateway")]
    assert noted(post)[1]["facts"]["failure"] == "queue.job-altered"


@KIND
async def test_a_planted_job(post: Post) -> None:  # noqa: F811
    made = await waiting(post, 2)
    with writing(post.engine) as connection:
        wanted = Wanted("waiting")
        planted = bulk.start(connection, Orders(b"x" * 32), wanted, bulk.preview(connection, wanted), BY, post.clock[0])
    assert step(post) == 0 and seen(post, planted)[0] == "done"
    assert {post.row(each)["state"] for each in made} == {"queued"} and not post.provider.seen


@KIND
@pytest.mark.parametrize("by_whom", ["a person", "the first message"])
async def test_a_job_that_stopped_is_resumed_by_its_row(post: Post, by_whom: str) -> None:  # noqa: F811
    await waiting(post, 3)
    post.provider.script = answering(post.provider, 503)
    job = start(post)
    step(post)
    await post.run()
    if by_whom == "a person":
        with writing(post.engine) as connection:
            bulk.stop(connection, job.id, BY, post.clock[0])
    else:
        step(post)
    assert seen(post, job)[0] == "stopped"
    with writing(post.engine) as connection:
        connection.execute(update(console_job).where(JOB.id == job.id).values(state="running"))
        _facts(connection, job, phase="rest", canary=None)
    assert step(post) == 0
    state, counts = seen(post, job)
    assert state == "done" and counts[Effect.WAITING] == 2 and len(post.provider.seen) == 1


@CALLS
@pytest.mark.parametrize(
    "changes",
    [
        {"state": "failed", "status": 502, "failure": "provider.down"},
        {"status": 202},
        {"failure": "delivery.discarded"},
        {"caller_system": "do-thi"},
    ],
    ids=lambda changes: ", ".join(changes),
)
async def test_a_sender_is_told_of_no_end_that_the_log_does_not_have(post: Post, changes: dict[str, Any]) -> None:  # noqa: F811
    (transfer,) = await ended(post)
    receiver, callbacks = Receiver(post, 204), calling(post)
    changed(post, transfer, **changes)
    assert await callbacks.run_once(post.lease) == 0 and not receiver.calls
    assert post.queued(transfer)["callback_at"] == post.clock[0] + 600.0, "it is not looked at each second"


@CALLS
@pytest.mark.parametrize("status", [204, 500])
async def test_nobody_is_called_again_by_a_row(post: Post, status: int) -> None:  # noqa: F811
    (transfer,) = await ended(post)
    receiver, callbacks = Receiver(post, status), calling(post, policy=RetryPolicy(tries=1))
    assert await callbacks.run_once(post.lease) == 1
    how = post.queued(transfer)["callback"]
    post.set_queue(transfer, callback="wanted", callback_tries=0, callback_at=0.0)
    assert await callbacks.run_once(post.lease) == 0 and len(receiver.calls) == 1
    assert post.queued(transfer)["callback"] == how == ("done" if status == 204 else "dead")


@CALLS
async def test_an_end_that_waits_to_be_logged_is_told_by_no_row(post: Post) -> None:  # noqa: F811
    transfer = await post.put_aside()
    receiver, callbacks = Receiver(post, 204), calling(post)
    post.set_queue(transfer, callback="wanted", state="done")
    changed(post, transfer, state="answered", status=200, finished=post.clock[0])
    assert await callbacks.run_once(post.lease) == 0 and not receiver.calls
