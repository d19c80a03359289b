"""What operators see of subscriptions, and do about them: the doctor, and acts with a reason."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from contracts.base.errors import Failure
from gateway.doctor.push import subscriptions
from gateway.journal.database import snapshot, writing
from gateway.journal.schema.push_tables import push_subscription
from gateway.push import operating, store
from gateway.push.records import Cause
from gateway.push.store import By
from tests.doors.api.client import World
from tests.push.receiving import Receiver, acts, call, filled, pushing, row, run, subscribed
from tests.registry.making import House

WHY = "the receiver asked for it"


@pytest.fixture(autouse=True)
def hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world has no key files; its keyed hash is the text itself."""
    monkeypatch.setattr(operating, "hashing", lambda _settings: lambda text: text)


def found(world: World) -> dict[str, dict[str, object]]:
    with snapshot(world.engine) as connection:
        told = list(subscriptions(world.services.settings, connection, time.time()))
    return {each.kind.code: each.facts for each in told}


async def test_the_doctor_names_what_is_paused_and_what_was_changed(
    world: World, keys: House, receiver: Receiver
) -> None:
    await filled(world, 2)
    receiver.echo = False
    id = await subscribed(world, receiver)
    assert found(world) == {}
    with writing(world.engine) as connection:
        by = By("gateway", time.time(), Cause.DEAD)
        before = store.find(connection, id)
        store.pause(connection, before, by, world.services.exchange.hash_id)
    facts = found(world)["push.paused"]
    assert (facts["system"], facts["waiting"], facts["subscription"]) == ("dieu-hanh", 2, id)
    with writing(world.engine) as connection:
        connection.execute(update(push_subscription).values(url="https://thief.example/"))
    assert found(world)["push.altered"]["count"] == 1


async def test_what_an_operator_pauses_an_operator_resumes(world: World, keys: House, receiver: Receiver) -> None:
    await filled(world, 1)
    id, hash_id = await subscribed(world, receiver), world.services.exchange.hash_id
    operating.act(world.engine, id, "pause", operating.operator("H14.0/lan", time.time(), WHY), hash_id)
    (_, entry) = acts(world, id)
    assert (entry["act"], entry["reason"], entry["state"]) == ("paused", WHY, "paused")
    refused = await call(world, "dieu-hanh", "POST", f"/subscriptions/{id}/resume")
    assert (refused.status, refused.json["code"]) == (409, "subscription.other-state")
    async with pushing(world, keys) as pusher:
        await pusher.run_once(world.lease)
        assert receiver.challenges == 0
        operating.act(world.engine, id, "resume", operating.operator("H14.0/lan", time.time(), WHY), hash_id)
        await run(pusher, world, lambda: len(receiver.ids) == 1)
    with snapshot(world.engine) as connection:
        (seen,) = operating.every(connection, hash_id, time.time())
        _, tried = operating.one(connection, id, hash_id, time.time())
    assert (seen.shown()["state"], seen.shown()["waiting"], seen.altered) == ("active", 0, False)
    assert [each.failure for each in tried] == [None, None] and tried[0].events == 1


async def test_one_that_was_changed_can_only_be_ended(world: World, receiver: Receiver) -> None:
    id, hash_id = await subscribed(world, receiver), world.services.exchange.hash_id
    with writing(world.engine) as connection:
        connection.execute(update(push_subscription).values(url="https://thief.example/"))
    by = operating.operator("H14.0/lan", time.time(), WHY)
    with pytest.raises(Failure, match="subscription.altered"):
        operating.act(world.engine, id, "pause", by, hash_id)
    assert operating.act(world.engine, id, "end", by, hash_id).state == "ended" and row(world, id).state == "ended"
