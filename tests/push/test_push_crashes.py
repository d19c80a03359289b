"""A keeper that dies at any point: each event comes at least once, in order, and under one id for the same events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.push import store
from gateway.push.records import Cause, State
from gateway.push.store import Attempt, By, Wanted
from tests.doors.api.client import World
from tests.push.receiving import Receiver, filled, pushing, row, subscribed
from tests.registry.making import House

COUNT = 60


class Killed(BaseException):
    """As SIGKILL: nothing after it runs in that keeper."""


@pytest.mark.parametrize("point", ["reserve", "taken", "any"])
async def test_nothing_is_missing_after_any_number_of_deaths(
    world: World, keys: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """`taken`: between what was sent and its record."""
    sent = await filled(world, COUNT)
    dice, deaths = random.Random(7), 0

    def deadly(name: str) -> Callable[..., Any]:
        whole = getattr(store, name)

        def call(connection: Connection, *args: Any) -> Any:
            nonlocal deaths
            done = whole(connection, *args)
            if deaths < 12 and (point == name or point == "any") and dice.random() < 0.4:
                deaths += 1
                raise Killed  # before the commit
            return done

        return call

    for name in ("reserve", "taken", "failed"):
        monkeypatch.setattr(store, name, deadly(name))
    id = await subscribed(world, receiver, most=5)
    for _ in range(200):
        async with pushing(world, keys) as pusher:  # the next keeper
            for _ in range(3):
                try:
                    await pusher.run_once(world.lease)
                except Killed:
                    break
                await asyncio.sleep(0.01)
                if any(isinstance(each.exception(), Killed) for each in pusher._tasks.values() if each.done()):
                    break
        if row(world, id).position == COUNT:
            break
    assert deaths and row(world, id).position == COUNT
    first = list(dict.fromkeys(receiver.ids))
    assert first == sent, "in order, nothing missing"
    by_id: dict[str, bytes] = {}
    for headers, body in receiver.deliveries:
        assert by_id.setdefault(headers["webhook-id"], body) == body
    assert len(receiver.deliveries) >= len(by_id)


def test_the_store_does_the_same_on_both_databases(database: Engine) -> None:
    """What is due, what waits, and a delivery that is taken only while the row is as it was read."""

    def hash_id(text: str) -> str:
        return text

    def by(at: float) -> By:
        return By("a", at, Cause.SUBSCRIBER)

    with writing(database) as connection:
        event = {"contract": "x/v1", "event": "{}", "body_ref": "b"}
        rows = [{**event, "offset": at, "transfer": f"t{at}", "sequenced": float(at)} for at in range(1, 8)]
        connection.execute(insert(tables.feed_event), rows)
        made, new = store.create(
            connection,
            Wanted("s", "x/v1", "https://x.example/", "webhooks", 3, 0),
            By("a", 10.0, Cause.SUBSCRIBER),
            hash_id,
        )
        assert new and store.due(connection, 11.0, 5) == [(made.id, False, 10.0)]
        store.check(connection, made, hash_id)
    with writing(database) as connection:
        active = store.verified(
            connection, store.locked(connection, made.id, hash_id), By("a", 11.0, Cause.NONE), hash_id
        )
        assert store.waiting(connection, active) == (7, 1.0) and store.totals(connection, 21.0).lag == 20.0
        reserved = store.reserve(connection, active, hash_id)
        assert reserved is not None and reserved.upto == 3
        assert store.reserve(connection, active, hash_id) is None, "the row has changed"
        attempt = Attempt(12.0, "d", 3, 1, 500, "push.timeout")
        assert store.failed(connection, reserved, attempt, 12.5)
        assert store.due(connection, 12.0, 5) == [] and store.totals(connection, 21.0).failing == 1
        tried = store.find(connection, made.id)
        after = store.taken(connection, tried, 3, attempt._replace(failure=None), hash_id)
        assert after is not None and (after.position, after.upto, after.tries) == (3, 6, 0)
        assert store.taken(connection, tried, 3, attempt, hash_id) is None
        for number in range(60):
            store._attempted(connection, made.id, attempt._replace(at=float(number)))
        assert len(store.attempts(connection, made.id)) == store.ATTEMPTS
        again, count = store.replay(
            connection, store.find(connection, made.id), 1, By("a", 13.0, Cause.SUBSCRIBER), hash_id
        )
        assert (again.position, again.reached, count) == (1, 3, 2)
        paused = store.pause(connection, again, By("lan", 14.0, Cause.OPERATOR), hash_id)
        assert store.due(connection, 99.0, 5) == [] and store.of_system(connection, None) == [paused]
        ended = store.end(connection, paused, By("lan", 15.0, Cause.OPERATOR), hash_id)
        assert ended.state == State.ENDED and store.totals(connection, 21.0).states["ended"] == 1
