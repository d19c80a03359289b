"""A subscriber that loses what let it read gets nothing more, or only what it may still see."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.registry import store as registry
from tests.attacks.access.test_attack_feed_pages import change, moved, narrowed, revoked, suspended, without_role
from tests.doors.api.client import World
from tests.push.receiving import Receiver, filled, pushing, row, run, subscribed
from tests.registry.making import House

pytestmark = pytest.mark.attack("push: without a grant")


def stopped(connection: Any) -> None:
    """The system itself is suspended."""
    registry.set_state(connection, "system", "dieu-hanh", active=False)


@pytest.mark.parametrize(
    "how",
    [revoked, suspended, narrowed, without_role, moved, stopped],
    ids=lambda how: str(how.__name__),
)
async def test_the_next_delivery_shows_what_is_granted_now(
    world: World, keys: House, receiver: Receiver, how: Any
) -> None:
    await filled(world, 1)
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 1)
        assert receiver.events[0]["data"]["note"] == "ghi chú"
        change(world, how)
        await filled(world, 1, first=2)
        if how is narrowed:
            await run(pusher, world, lambda: row(world, id).position == 2)
            assert receiver.events[1]["data"].get("note") != "ghi chú"
            return
        await run(pusher, world, lambda: bool(row(world, id).failure))
        assert row(world, id).failure.partition(".")[0] in ("access", "channel") and row(world, id).tries == 0
        assert len(receiver.deliveries) == 1 and row(world, id).state == "active"
        assert row(world, id).failing is None, "it is no failure of the receiver"
