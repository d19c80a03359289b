"""Somebody who edits the database: no event goes to another URL, to another system's receiver, or by an older row."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from gateway.journal.database import writing
from gateway.journal.schema.push_tables import push_key, push_subscription
from tests.doors.api.client import World
from tests.push.receiving import Receiver, call, filled, pushing, receiving, row, run, subscribed
from tests.registry.making import House

pytestmark = pytest.mark.attack("push: rows that an insider edits")
EDITS: dict[str, Any] = {
    "system": "canh-bao",
    "contract": "field-report/v1",
    "form": "rfc9421",
    "most": 7,
    "state": "active",
    "cause": "dead",
    "verified": 1.0,
    "revision": 9,
    "created": 1.0,
    "changed": 1.0,
    "seal": "0" * 64,
    "position": 1,
    "reached": 9,
    "replays": 3,
    "upto": 2,
    "mark": "0" * 64,
}


def edit(world: World, id: str, **values: Any) -> None:
    with writing(world.engine) as connection:
        connection.execute(update(push_subscription).where(push_subscription.c.id == id).values(**values))


async def _looks(pusher: Any, world: World, count: int = 5) -> None:
    for _ in range(count):
        await pusher.run_once(world.lease)
        await asyncio.sleep(0.01)


async def test_nothing_is_sent_by_a_row_that_was_edited(world: World, keys: House, receiver: Receiver) -> None:
    await filled(world, 3)
    id = await subscribed(world, receiver)
    async with receiving(world.identities["dieu-hanh"]) as thief, pushing(world, keys) as pusher:
        edit(world, id, url=thief.url)
        await run(pusher, world, lambda: bool(world.logged("push-altered")))
        assert thief.challenges == 0 and receiver.challenges == 0
        shown = await call(world, "dieu-hanh", "POST", f"/subscriptions/{id}/pause")
        assert (shown.status, shown.json["code"]) == (500, "subscription.altered")  # no act takes the edit over
    before = row(world, id)
    for column, value in EDITS.items():
        edit(world, id, url=receiver.url, **{column: value})
        async with pushing(world, keys) as pusher:
            await _looks(pusher, world)
        assert receiver.challenges == 0 and receiver.deliveries == [], column
        edit(world, id, **{column: getattr(before, column)})
    async with pushing(world, keys) as pusher:  # as it was, it is believed
        await run(pusher, world, lambda: len(receiver.ids) == 3)


async def test_an_older_row_that_is_put_back_sends_nothing(world: World, keys: House, receiver: Receiver) -> None:
    await filled(world, 1)
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 1)
    old = dict(row(world, id)._mapping)
    async with receiving(world.identities["dieu-hanh"]) as other, pushing(world, keys) as pusher:
        await call(world, "dieu-hanh", "POST", f"/subscriptions/{id}/url", {"url": other.url})
        await run(pusher, world, lambda: other.challenges == 1)
        edit(world, id, **{name: value for name, value in old.items() if name != "id"})
        await filled(world, 1, first=2)
        await run(pusher, world, lambda: bool(world.logged("push-altered")))
        ended = await call(world, "dieu-hanh", "DELETE", f"/subscriptions/{id}")
        assert ended.status == 200 and len(receiver.ids) == 1 and other.ids == []


async def test_a_row_of_ones_own_sends_nothing(world: World, keys: House, receiver: Receiver) -> None:
    await filled(world, 1)
    id = await subscribed(world, receiver)
    async with receiving(world.identities["dieu-hanh"]) as thief, pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 1)
        copy = dict(row(world, id)._mapping) | {"id": "01935b6e-ffff-7000-8000-000000000001", "url": thief.url}
        with writing(world.engine) as connection:
            connection.execute(insert(push_subscription).values(**copy))
        await filled(world, 1, first=2)
        await run(pusher, world, lambda: bool(world.logged("push-altered")) and len(receiver.ids) == 2)
        assert thief.challenges == 0 and thief.deliveries == []


async def test_a_key_that_was_exchanged_signs_nothing(world: World, keys: House, receiver: Receiver) -> None:
    await filled(world, 1)
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 1)
        with writing(world.engine) as connection:
            kept = connection.execute(select(push_key)).one()
            connection.execute(update(push_key).values(sealed=bytes(kept.sealed)[:-1] + b"\0"))
        answer = await call(world, "dieu-hanh", "GET", f"/subscriptions/{id}")
        assert answer.json["keys"] == []
        with writing(world.engine) as connection:  # under a later number it does not open either
            connection.execute(delete(push_key))
            connection.execute(insert(push_key).values(number=9, made=kept.made, sealed=kept.sealed))
        answer = await call(world, "dieu-hanh", "GET", f"/subscriptions/{id}")
        assert answer.json["keys"] == []


@pytest.mark.parametrize("name", ["next_at", "tries", "failing", "failure", "taken"])
async def test_what_is_not_sealed_decides_nothing_but_the_time(
    world: World, keys: House, receiver: Receiver, name: str
) -> None:
    await filled(world, 1)
    id = await subscribed(world, receiver)
    edit(world, id, **{name: "push.timeout" if name == "failure" else 1})
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: len(receiver.ids) == 1)
