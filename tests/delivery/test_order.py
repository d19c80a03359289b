"""Order by key, priority and pace of the queue, on both databases; the order against random ends and kills."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from random import Random

import pytest
from aiohttp import web
from sqlalchemy import select, update

from contracts.base.errors import Failure
from gateway.delivery import decisions, listing
from gateway.delivery.breaker import Rules
from gateway.delivery.decisions import Act, Decision
from gateway.delivery.pace import Pace, Paces
from gateway.delivery.queue import HELD, OPEN, Taking, take_due
from gateway.doors.api.transfers import transfer_status
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow
from gateway.keeper import recovery
from tests.delivery.posting import Post, answering

REASON = "decided in a test"


async def ordered(post: Post, key: str | None, *, priority: int = 5, idempotent: bool = True) -> str:
    """A message with an order key, as a door commits it."""
    return await post.put_aside(idempotent=idempotent, place={"order_key": key, "priority": priority})


def places(post: Post) -> dict[str, tuple[str | None, int]]:
    with post.engine.connect() as connection:
        rows = connection.execute(select(tables.queue.c.transfer, tables.queue.c.order_key, tables.queue.c.place))
        return {row.transfer: (row.order_key, row.place) for row in rows}


def sent(post: Post) -> list[str]:
    return [str(each.header("lgsp-transfer")) for each in post.provider.seen]


def decide(post: Post, transfer: str, act: Act) -> None:
    decision = Decision(transfer=transfer, act=act, reason=REASON, actor="H14.0/lan", at=post.clock[0])
    decisions.decide(post.engine, post.vault, decision)


async def drained(post: Post) -> None:
    while await post.run():
        post.clock[0] += 1.0


async def test_messages_of_one_key_go_one_by_one_and_other_keys_go_on(post: Post) -> None:
    post.provider.script = answering(post.provider)
    first, second, third = [await ordered(post, "k1") for _ in range(3)]
    other, free = await ordered(post, "k2"), await ordered(post, None)
    assert {name: place for name, (_, place) in places(post).items()} == {
        first: 1, second: 2, third: 3, other: 1, free: 0,
    }  # fmt: skip
    assert await post.run() == 3 and sorted(sent(post)) == sorted([first, other, free])
    assert await post.run() == 1 and await post.run() == 1 and await post.run() == 0
    assert [each for each in sent(post) if each in (first, second, third)] == [first, second, third]


async def test_a_head_that_waits_for_its_next_try_holds_its_key_alone(post: Post) -> None:
    first, second, other = await ordered(post, "k1"), await ordered(post, "k1"), await ordered(post, "k2")
    post.set_queue(first, next_at=post.clock[0] + 100.0)
    post.provider.script = answering(post.provider)
    assert await post.run() == 1 and sent(post) == [other]
    status = transfer_status(post.engine, second, "phan-anh")
    assert status is not None and status["behind"] is True and "held" not in status
    with post.engine.connect() as connection:
        stands = listing.standing(connection, second)
    assert stands is not None and stands.behind == first
    post.clock[0] += 101.0
    await drained(post)
    assert sent(post) == [other, first, second]


@pytest.mark.parametrize("act", [Act.RETRY, Act.DISCARD, Act.CANCEL])
async def test_a_dead_head_is_held_and_an_officer_settles_it(post: Post, act: Act) -> None:
    first, second, other = await ordered(post, "k1"), await ordered(post, "k1"), await ordered(post, "k2")
    post.set_queue(first, tries=3)  # of the four that this policy allows
    calls = answering(post.provider)

    async def failing(request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers["lgsp-transfer"] == first:
            post.provider.verified(request, body)
            return post.provider.signed(request, b"{}", 503, {"content-type": "application/json"})
        return await calls(request, body)

    post.provider.script = failing
    await drained(post)
    held = post.queued(first)
    assert (held["state"], post.row(first)["state"]) == (HELD, "queued")
    assert post.row(second)["state"] == "queued" and post.row(other)["state"] == "answered"
    status = transfer_status(post.engine, first, "phan-anh")
    assert status is not None and status["held"] and status["failedTries"][-1]["failure"] == held["last_failure"]
    with post.engine.connect() as connection:
        (listed,) = listing.page(connection, listing.Wanted(listing.HOLDS)).messages
        assert listed.transfer == first and act in listed.acts and listing.count(connection, listing.HOLDS) == 1
        assert listing.count(connection, listing.WAITS) == 1
    post.provider.script = calls
    decide(post, first, act)
    await drained(post)
    ends = {Act.RETRY: "answered", Act.DISCARD: "dead", Act.CANCEL: "dead"}
    assert (post.row(first)["state"], post.row(second)["state"]) == (ends[act], "answered")
    if act is Act.RETRY:
        assert sent(post)[-2:] == [first, second]


async def test_a_head_in_doubt_holds_its_key_until_it_is_settled(post: Post) -> None:
    first, second = await ordered(post, "k1", idempotent=False), await ordered(post, "k1", idempotent=False)

    async def cut(request: web.Request, body: bytes) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    post.provider.script = cut
    await drained(post)
    assert (post.row(first)["state"], post.queued(first)["state"]) == ("in-doubt", HELD)
    assert post.row(second)["state"] == "queued"
    post.provider.script = answering(post.provider)
    assert await post.run() == 0
    decide(post, first, Act.DONE)
    await drained(post)
    assert post.row(second)["state"] == "answered"


async def test_a_head_whose_keeper_died_keeps_its_place(post: Post) -> None:
    safe, unsafe = await ordered(post, "k1"), await ordered(post, "k2", idempotent=False)
    later = [await ordered(post, "k1"), await ordered(post, "k2", idempotent=False)]
    take_due(post.engine, lock_of(post.engine), post.lease, Taking("gone-1", post.clock[0], 10))
    with writing(post.engine, lock_of(post.engine)) as connection:
        recovery.close_open(connection, post.clock[0])
    assert post.queued(safe)["state"] == "waiting" and post.queued(safe)["order_key"] == "k1"
    assert (post.queued(unsafe)["state"], post.row(unsafe)["state"]) == (HELD, "in-doubt")
    post.provider.script = answering(post.provider)
    await drained(post)
    assert sent(post) == [safe, later[0]] and post.row(later[1])["state"] == "queued"


@pytest.mark.parametrize("seed", range(3))
async def test_the_order_holds_against_random_ends_and_kills(post: Post, seed: int) -> None:
    """A model: of each key the messages are acted on in their order, whatever fails between; nothing is lost."""
    rng, acted, made = Random(seed), list[str](), defaultdict[str, list[str]](list)
    whole = answering(post.provider)

    async def flapping(request: web.Request, body: bytes) -> web.StreamResponse:
        chance = rng.random()
        if chance < 0.25:
            post.provider.verified(request, body)
            return post.provider.signed(request, b"{}", 503, {"content-type": "application/json"})
        if request.headers["lgsp-transfer"] not in acted:
            acted.append(request.headers["lgsp-transfer"])
        if chance < 0.4:  # it acted, and its answer is lost
            assert request.transport is not None
            request.transport.abort()
        return await whole(request, body)

    post.provider.script = flapping
    for step in range(60):
        if step < 30:
            key = rng.choice(["k1", "k2", "k3"])
            made[key].append(await ordered(post, key, priority=rng.choice([0, 5])))
        if rng.random() < 0.15:  # a keeper dies with what it has taken up
            take_due(post.engine, lock_of(post.engine), post.lease, Taking(f"gone-{step}", post.clock[0], 3))
            with writing(post.engine, lock_of(post.engine)) as connection:
                recovery.close_open(connection, post.clock[0])
        await post.run()
        post.clock[0] += rng.choice([0.5, 5.0, 400.0])
        with post.engine.connect() as connection:
            held = list(connection.scalars(select(tables.queue.c.transfer).where(tables.queue.c.state == HELD)))
        for each in held:
            decide(post, each, Act.RETRY)
            post.set_queue(each, tries=1)
    post.provider.script = whole
    while True:
        post.clock[0] += 400.0
        with post.engine.connect() as connection:
            if (
                connection.scalar(select(tables.queue.c.transfer).where(tables.queue.c.state.in_(OPEN)).limit(1))
                is None
            ):
                break
        await post.run()
    acted += [each for each in sent(post) if each not in acted]
    for key, transfers in made.items():
        assert [each for each in acted if each in transfers] == transfers, key
    assert {post.row(each)["state"] for transfers in made.values() for each in transfers} == {"answered"}


async def test_two_keepers_never_take_up_one_key_twice(post: Post) -> None:
    for number in range(12):
        await ordered(post, f"k{number % 3}")
    lock = lock_of(post.engine)
    taken = await asyncio.gather(
        *(
            asyncio.to_thread(take_due, post.engine, lock, post.lease, Taking("keeper-1", post.clock[0], 8))
            for _ in "ab"
        )
    )
    jobs = [job for some in taken for job in some]
    assert len({job.transfer for job in jobs}) == len(jobs) == len({job.place.order_key for job in jobs}) == 3


@pytest.mark.sampled("sqlite*")
async def test_urgent_messages_go_first_and_pass_a_busy_provider(post: Post) -> None:
    release, whole = asyncio.Event(), answering(post.provider)

    async def slow(request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers["lgsp-transfer"] not in urgent:
            await release.wait()
        return await whole(request, body)

    urgent: list[str] = []
    post.provider.script, post.deliverer.timeout = slow, 60.0
    bulk = [await ordered(post, None, priority=9) for _ in range(10)]
    assert await post.take() == 8
    urgent += [await ordered(post, None, priority=0) for _ in range(3)]
    assert await post.take() == 2  # beside those that are out
    while sum(post.row(each)["state"] == "answered" for each in urgent) < 2:
        await asyncio.sleep(0.05)
    assert await post.take() == 1
    release.set()
    await post.deliverer.finish(30.0)
    await drained(post)
    assert {post.row(each)["state"] for each in (*bulk, *urgent)} == {"answered"}
    more = [await ordered(post, None, priority=9), await ordered(post, None), await ordered(post, None, priority=0)]
    jobs = take_due(post.engine, lock_of(post.engine), post.lease, Taking("keeper-1", post.clock[0], 8))
    assert [job.transfer for job in jobs] == more[::-1]


async def test_the_first_step_reads_few_rows_of_a_long_queue(post: Post) -> None:
    """A page of what is due walks an index: the plan names it, and sorts nothing large."""
    await ordered(post, "k1")
    if post.engine.dialect.name != "sqlite":
        pytest.skip("the plan of SQLite is looked at")
    queue = (
        "SELECT transfer FROM queue WHERE state = 'waiting' AND provider = 'x' AND priority = 5 AND next_at <= 9"
        " ORDER BY next_at LIMIT 8"
    )
    with post.engine.connect() as connection:
        plan = " ".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {queue}"))
    assert "queue_next" in plan and "TEMP B-TREE" not in plan


def test_a_place_stays_as_it_was_and_a_row_without_a_key_has_none() -> None:
    assert QueueRow("t", "p", "b", 1.0).order_key is None and QueueRow("t", "p", "b", 1.0).priority == 5


# --- pace -------------------------------------------------------------------------------------------------------------
def test_a_system_that_comes_back_is_drained_slowly_then_faster() -> None:
    paces, now, taken = Paces(Pace(full=64.0, start=4.0, doubling=5.0)), 1000.0, list[int]()
    paces.back("x", now)
    for _second in range(40):
        room = paces.room("x", now)
        paces.took("x", room, now)
        taken.append(room)
        now += 1.0
    assert taken[0] == 4 and max(taken[:5]) <= 8 and max(taken) <= 64 and taken[-1] >= 60
    assert sum(taken[:10]) <= 4 * 5 + 8 * 5 + 16 + 10


def test_no_second_has_more_than_the_full_rate_and_a_clock_set_back_adds_no_room() -> None:
    rng, paces, now, begun = Random(5), Paces(Pace(full=10.0)), 1000.0, list[float]()
    for _ in range(2000):
        now += rng.choice([0.01, 0.05, 0.3])
        room = min(paces.room("x", now), rng.randrange(4))
        paces.took("x", room, now)
        begun += [now] * room
    for start in begun[::50]:
        assert sum(start <= at < start + 1.0 for at in begun) <= 21  # one second's worth, and one that had waited
    paces.took("x", paces.room("x", now), now)
    assert paces.room("x", now - 3600.0) == 0 and paces.room("x", now - 3599.0) == 10


async def test_a_system_gets_no_more_a_second_than_it_is_registered_for(post: Post) -> None:
    post.provider.script = answering(post.provider)
    post.deliverer.paces.full_of = lambda system: 2.0 if system == "truong-ha" else None
    for _ in range(9):
        await post.put_aside()
    taken = []
    for _second in range(5):
        taken.append([await post.run(), await post.run()])
        post.clock[0] += 1.0
    assert taken == [[2, 0]] * 4 + [[1, 0]]


# --- calls ------------------------------------------------------------------------------------------------------------
async def test_a_thousand_failures_make_no_more_calls_than_the_policy_allows(post: Post) -> None:
    """Each message is tried `tries` times at most, and the breaker bounds the calls of any span of time."""
    calls: list[float] = []

    async def failing(request: web.Request, body: bytes) -> web.StreamResponse:
        calls.append(post.clock[0])
        post.provider.verified(request, body)
        return post.provider.signed(request, b"{}", 503, {"content-type": "application/json"})

    post.provider.script = failing
    rules = Rules(failures=5, rest=5.0, growth=2.0, longest=60.0)
    post.deliverer.forwarder.breakers.rules = rules
    transfers = [await post.put_aside(tries=0) for _ in range(40)]
    began = post.clock[0]
    for _ in range(1000):
        await post.run()
        post.clock[0] += 1.0
    tries = [post.queued(each)["tries"] for each in transfers]
    assert sum(tries) == len(calls) and max(tries) <= post.deliverer.forwarder.policy.tries
    # The first opens the breaker, with those that were out beside it; then one probe for each rest.
    probes = 1 + sum(1 for _ in range(5)) + int((post.clock[0] - began) / rules.longest) + 2
    assert len(calls) <= 8 + probes, (len(calls), probes)
    assert all(post.row(each)["state"] == "queued" for each in transfers if post.queued(each)["tries"] < 4)


async def test_what_was_given_up_is_not_called_again(post: Post) -> None:
    transfer = await post.put_aside(tries=3)

    async def failing(request: web.Request, body: bytes) -> web.StreamResponse:
        post.provider.verified(request, body)
        return post.provider.signed(request, b"{}", 503, {"content-type": "application/json"})

    post.provider.script = failing
    for _ in range(20):
        await post.run()
        post.clock[0] += 400.0
    assert post.row(transfer)["state"] == "dead" and len(post.provider.seen) == 1
    with pytest.raises(Failure):
        decide(post, transfer, Act.RETRY)
    with writing(post.engine) as connection:
        connection.execute(update(tables.queue).values(next_at=0.0))
    assert await post.run() == 0
