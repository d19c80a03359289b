"""A system that could not be reached is looked for, and drained as soon as it listens again."""

from __future__ import annotations

from sqlalchemy import update

from adapters.opening import ConnectionProbe, Peers
from gateway.delivery.breaker import Rules
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.tasks.recovery_probe import RecoveryProbe
from tests.delivery.posting import Post, answering
from tests.registry.making import House


async def test_a_system_that_comes_back_is_drained_whatever_its_messages_had_come_to(post: Post, keys: House) -> None:
    probe = RecoveryProbe(
        post.engine,
        lock_of(post.engine),
        post.registry,
        post.deliverer.forwarder,
        ConnectionProbe(Peers(post.tls)),
        lambda: post.clock[0],
    )
    post.provider.script = answering(post.provider)
    port = post.provider.port
    await post.provider.stop()
    breaker = post.deliverer.forwarder.breakers.of("truong-ha")
    breaker.rules = Rules(failures=1, rest=60.0)
    transfers = [await post.put_aside(tries=2) for _ in range(3)]
    assert await post.run() == 3
    with writing(post.engine) as connection:  # as after many tries
        connection.execute(update(tables.queue).values(next_at=post.clock[0] + 300.0))
    assert {post.queued(each)["last_failure"] for each in transfers} <= {"provider.down", "provider.resting"}
    for _ in range(3):
        assert await probe.run_once(post.lease) == 0  # it is still away
        post.clock[0] += 2.0
        assert await post.run() == 0
    await post.provider.start(keys, port)
    assert await probe.run_once(post.lease) == 1
    assert [await post.run(), await post.run()] == [1, 2]  # one ahead, then the others
    assert {post.row(each)["state"] for each in transfers} == {"answered"} and len(post.provider.seen) == 3
    post.clock[0] += 2.0
    assert await probe.run_once(post.lease) == 0  # nothing waits: nobody asks


async def test_a_system_that_listens_and_fails_is_probed_ever_more_rarely(post: Post) -> None:
    probes: list[float] = []

    async def ask(_url: str, _system: str) -> bool:
        probes.append(post.clock[0])
        return True

    probe = RecoveryProbe(
        post.engine, lock_of(post.engine), post.registry, post.deliverer.forwarder, ask, lambda: post.clock[0]
    )
    transfer = await post.put_aside()
    for _ in range(300):
        with writing(post.engine) as connection:  # each try finds nobody, though the address listens
            connection.execute(update(tables.queue).values(last_failure="provider.down", next_at=post.clock[0] + 300.0))
        await probe.run_once(post.lease)
        post.clock[0] += 1.0
    assert 6 <= len(probes) <= 10 and probes[-1] - probes[-2] >= 60.0
    assert post.queued(transfer)["next_at"] > 0
