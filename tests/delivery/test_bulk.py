"""Bulk retries: exactly the previewed set, one message first, its effect seen, then the rest; stop, resume, restart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from contracts.base.errors import Failure
from gateway.delivery import bulk, decisions
from gateway.delivery.bulk import Effect
from gateway.delivery.decisions import Act
from gateway.delivery.listing import Wanted
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.jobs import Job
from gateway.journal.schema import tables
from gateway.registry.changes.orders import Orders
from tests.delivery.posting import Post, answering
from tests.delivery.test_decisions import take, wrong_with

ORDERS = Orders(b"h" * 32)
BY = ("H14.0/lan: desk", "the provider is back since noon")


async def waiting(post: Post, number: int) -> list[str]:
    """Messages that failed once, and wait for hours."""
    made = [await post.put_aside() for _ in range(number)]
    with writing(post.engine) as connection:
        step = update(tables.queue).where(tables.queue.c.transfer.in_(made))
        connection.execute(step.values(next_at=post.clock[0] + 240, last_failure="provider.down"))
    return made


ALL = Wanted("waiting")


def start(post: Post, wanted: Wanted = ALL, **more: Any) -> Job:
    with writing(post.engine) as connection:
        seen = bulk.preview(connection, wanted)
        return bulk.start(connection, ORDERS, wanted, seen, BY, post.clock[0], **more)


def step(post: Post, orders: Orders = ORDERS) -> int:
    """As a keeper that was just started: it has only the rows."""
    post.clock[0] += 1.0
    return bulk.step(post.engine, None, post.lease, orders, post.clock[0])


def seen(post: Post, job: Job) -> tuple[str, dict[Effect, int]]:
    with post.engine.connect() as connection:
        found = jobs.find(connection, job.id)
        assert found is not None
        counts = bulk.progress(connection, found).counts
    return found.state, {effect: number for effect, number in counts.items() if number}


async def test_one_goes_first_and_the_rest_after_its_answer(post: Post) -> None:
    made, other = await waiting(post, 4), await post.put_aside()
    with writing(post.engine) as connection:  # does not fit the filter
        step_ = update(tables.queue).where(tables.queue.c.transfer == other)
        connection.execute(step_.values(next_at=post.clock[0] + 240, last_failure="provider.fault"))
    post.provider.script = answering(post.provider)
    job = start(post, Wanted("waiting", failure="provider.down"))
    assert step(post) == 1 and seen(post, job) == ("running", {Effect.ORDERED: 1, Effect.WAITING: 3})
    assert step(post) == 0  # its effect is not seen yet
    assert await post.run() == 1 and post.row(made[0])["state"] == "answered"
    assert step(post) == 0 and step(post) == 3
    assert seen(post, job) == ("running", {Effect.ANSWERED: 1, Effect.ORDERED: 3})
    assert await post.run() == 3 and step(post) == 0
    assert seen(post, job) == ("done", {Effect.ANSWERED: 4})
    assert post.row(other)["state"] == "queued"
    facts = post.entry(made[1], "retried")["facts"]
    assert facts["bulk"] == job.id and facts["reason"] == BY[1] and not wrong_with(post, *made)
    (note,) = noted(post)
    assert note["actor"] == BY[0] and note["facts"]["count"] == 4 and note["facts"]["failure"] == "provider.down"


def noted(post: Post) -> list[dict[str, Any]]:
    table = tables.log_pending.c
    with post.engine.connect() as connection:
        rows = connection.scalars(select(table.entry).where(table.phase == bulk.KIND).order_by(table.id))
        return [json.loads(bytes(each)) for each in rows]


async def test_a_try_that_ended_before_the_order_is_none_of_its_effects(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may have tried a message once more after the list was read, and before its place was locked."""
    retry, queue = decisions.retry, tables.queue

    def tried_and_retried(connection: Connection, decision: Any) -> Any:
        connection.execute(update(queue).where(queue.c.transfer == decision.transfer).values(tries=queue.c.tries + 1))
        return retry(connection, decision)

    await waiting(post, 2)
    job = start(post)
    monkeypatch.setattr(decisions, "retry", tried_and_retried)
    assert step(post) == 1 and seen(post, job) == ("running", {Effect.ORDERED: 1, Effect.WAITING: 1})


async def test_it_stops_when_the_first_fails_and_is_resumed(post: Post) -> None:
    made = await waiting(post, 3)
    post.provider.script = answering(post.provider, 503)
    job = start(post)
    step(post)
    await post.run()
    assert step(post) == 0
    state, counts = seen(post, job)
    assert state == "stopped" and counts == {Effect.AGAIN: 1, Effect.WAITING: 2}
    assert step(post) == 0 and len(post.provider.seen) == 1
    post.provider.script = answering(post.provider)
    with writing(post.engine) as connection:
        bulk.resume(connection, job.id, BY, post.clock[0])
    post.set_queue(made[0], next_at=post.clock[0] + 240)  # its own next try is later
    assert step(post) == 1 and await post.run() == 1 and post.row(made[1])["state"] == "answered"
    assert step(post) == 0 and step(post) == 1 and await post.run() == 1 and step(post) == 0
    assert seen(post, job) == ("done", {Effect.AGAIN: 1, Effect.ANSWERED: 2})
    assert [each["facts"]["how"] for each in noted(post)] == ["started", "stopped", "resumed"]


async def test_a_person_stops_it(post: Post) -> None:
    await waiting(post, 3)
    post.provider.script = answering(post.provider)
    job = start(post)
    step(post)
    await post.run()
    step(post)
    with writing(post.engine) as connection:
        bulk.stop(connection, job.id, BY, post.clock[0])
    assert step(post) == 0 and seen(post, job) == ("stopped", {Effect.ANSWERED: 1, Effect.WAITING: 2})
    assert await post.run() == 0


async def test_only_the_previewed_set_is_retried(post: Post) -> None:
    made = await waiting(post, 3)
    with post.engine.connect() as connection:
        preview = bulk.preview(connection, Wanted("waiting"))
    assert preview.transfers == tuple(made) and not preview.more
    later = await post.put_aside()  # comes while somebody writes the reason
    take(post, made[0], Act.DISCARD)  # and this one leaves
    with writing(post.engine) as connection:
        for digest, given in ((preview.digest, made[1:]), ("0" * 64, made), (preview.digest, None)):
            with pytest.raises(Failure) as caught:
                bulk.previewed(connection, ALL, digest, given)
            assert caught.value.code == "queue.changed"
        seen_set = bulk.previewed(connection, ALL, preview.digest, made)
        job = bulk.start(connection, ORDERS, ALL, seen_set, BY, post.clock[0])
    assert job.facts["left"] == 1 and noted(post)[0]["facts"]["count"] == 2
    assert seen(post, job)[1] == {Effect.SKIPPED: 1, Effect.WAITING: 2}
    take(post, made[1], Act.CANCEL)
    assert step(post) == 1  # what has ended since the start is skipped too
    assert seen(post, job)[1] == {Effect.SKIPPED: 2, Effect.ORDERED: 1}
    with post.engine.connect() as connection:
        assert later not in {each.transfer for each in bulk.items(connection, job.id)}


async def test_a_set_of_which_nothing_is_left_is_not_begun(post: Post) -> None:
    (one,) = await waiting(post, 1)
    with writing(post.engine) as connection:
        preview = bulk.preview(connection, ALL)
    take(post, one, Act.DISCARD)
    with writing(post.engine) as connection, pytest.raises(Failure) as caught:
        bulk.start(connection, ORDERS, ALL, preview, BY, post.clock[0])
    assert caught.value.code == "queue.changed"


async def test_it_is_capped(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CAP", 3)
    made = await waiting(post, 5)
    with post.engine.connect() as connection:
        preview = bulk.preview(connection, Wanted("waiting"))
    assert preview.transfers == tuple(made[:3]) and preview.more
    assert seen(post, start(post))[1] == {Effect.WAITING: 3}
