"""Feeds by webhook, end to end: a subscription, the challenge, deliveries over TLS in order, retries, ends."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from gateway.journal.database import writing
from gateway.push import keys as push_keys
from gateway.push import store
from tests.doors.api.client import World
from tests.push.receiving import FEED, Receiver, acts, call, filled, pushing, receiving, row, run, subscribed
from tests.registry.making import House


async def test_events_come_signed_and_in_order_after_the_challenge(
    world: World, keys: House, receiver: Receiver
) -> None:
    sent = await filled(world, 5)
    id = await subscribed(world, receiver, most=2)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: len(receiver.ids) >= 5)
        await run(pusher, world, lambda: row(world, id).position == 5)
        await run(pusher, world, pusher.rests)
    assert receiver.challenges == 1 and receiver.ids == sent
    answer = await call(world, "dieu-hanh", "GET", f"/subscriptions/{id}")
    assert answer.status == 200 and (answer.json["state"], answer.json["waiting"]) == ("active", 0)
    receiver.keys = tuple(answer.json["keys"])
    assert [receiver.verified(*each) for each in receiver.deliveries] == [
        f"{id}-0-{at}" for at in ("1-2", "3-4", "5-5")
    ]
    media = [headers["content-type"] for headers, _ in receiver.deliveries]
    assert media == [*["application/cloudevents-batch+json"] * 2, "application/cloudevents+json"]
    assert [each["act"] for each in acts(world, id)] == ["created", "verified"]
    (read,) = world.logged("feed-read")[:1]
    assert read["facts"]["subscription"] == id and read["facts"]["grant"]


async def test_the_profile_of_the_gateway_itself_signs_on_request(
    world: World, keys: House, receiver: Receiver
) -> None:
    (sent,) = await filled(world, 1)
    id = await subscribed(world, receiver, form="rfc9421")
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: bool(receiver.ids))
    assert receiver.ids == [sent] and receiver.verified(*receiver.deliveries[0]) == f"{id}-0-1-1"


async def test_nothing_is_sent_to_who_does_not_echo_the_challenge(
    world: World, keys: House, receiver: Receiver
) -> None:
    await filled(world, 1)
    receiver.echo = False
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).tries >= 1)
        assert (row(world, id).state, row(world, id).failure) == ("unverified", "push.challenge")
        receiver.echo = True
        await run(pusher, world, lambda: bool(receiver.ids))
    assert receiver.challenges >= 2


async def test_a_delivery_that_fails_comes_again_under_its_id_with_the_same_events(
    world: World, keys: House, receiver: Receiver
) -> None:
    first = await filled(world, 2)
    seen: list[tuple[str, bytes]] = []

    async def fails(request: web.Request, body: bytes) -> web.StreamResponse:
        seen.append((request.headers["webhook-id"], body))
        if len(seen) < 3:
            return web.Response(status=503, headers={"Retry-After": "0"})
        return receiver.keep({}, body)

    receiver.behave = fails
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: bool(seen))
        more = await filled(world, 1, first=3)
        await run(pusher, world, lambda: len(receiver.ids) == 3)
        await run(pusher, world, lambda: row(world, id).position == 3)
    assert len(set(seen[:3])) == 1 and receiver.ids == first + more
    with world.engine.connect() as connection:
        tried = [(each.status, each.failure) for each in store.attempts(connection, id)]
    assert tried[:4] == [(204, None), (204, None), (503, "push.not-taken"), (503, "push.not-taken")]


async def test_410_ends_a_subscription_and_a_dead_receiver_is_paused_and_goes_on_where_it_stood(
    world: World, keys: House, receiver: Receiver
) -> None:
    sent = await filled(world, 3)
    id = await subscribed(world, receiver)

    async def fails(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(status=500)

    receiver.behave = fails
    async with pushing(world, keys, dead=0.5) as pusher:
        await run(pusher, world, lambda: row(world, id).state == "paused")
        last = acts(world, id)[-1]
        assert (last["act"], last["waiting"], last["failure"]) == ("paused", 3, "push.not-taken")
        shown = (await call(world, "dieu-hanh", "GET", f"/subscriptions/{id}")).json
        assert (shown["cause"], shown["waiting"]) == ("dead", 3) and shown["lagSeconds"] > 0
        receiver.behave = None
        assert (await call(world, "dieu-hanh", "POST", f"/subscriptions/{id}/resume")).status == 200
        await run(pusher, world, lambda: receiver.ids == sent)

        async def gone(_request: web.Request, _body: bytes) -> web.StreamResponse:
            return web.Response(status=410)

        receiver.behave = gone
        await filled(world, 1, first=4)
        await run(pusher, world, lambda: row(world, id).state == "ended")
    assert row(world, id).cause == "receiver"
    again = await call(world, "dieu-hanh", "POST", f"/subscriptions/{id}/resume")
    assert (again.status, again.json["code"]) == (409, "subscription.ended")


async def test_a_dead_receiver_holds_up_nobody(world: World, keys: House, receiver: Receiver) -> None:
    await filled(world, 1)
    hung = asyncio.Event()

    async def hangs(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await hung.wait()
        return web.Response(status=500)

    async with receiving(world.identities["dieu-hanh"]) as dead, pushing(world, keys, seconds=20.0) as pusher:
        dead.behave = hangs
        slow = await subscribed(world, dead)
        await run(pusher, world, lambda: row(world, slow).state == "active")
        await subscribed(world, receiver)
        await run(pusher, world, lambda: bool(receiver.ids), seconds=10.0)  # long before the slow one's time is over
        assert row(world, slow).position == 0
        hung.set()


async def test_replay_sends_again_under_other_ids_and_says_how_many(
    world: World, keys: House, receiver: Receiver
) -> None:
    sent = await filled(world, 3)
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 3)
        answer = await call(world, "dieu-hanh", "POST", f"/subscriptions/{id}/replay", {"from": "start"})
        assert answer.status == 200 and answer.json["again"] == 3, answer.body
        await run(pusher, world, lambda: row(world, id).position == 3)
    assert receiver.ids == sent * 2
    assert len({headers["webhook-id"] for headers, _ in receiver.deliveries}) == 2
    forward = await call(world, "dieu-hanh", "POST", f"/subscriptions/{id}/replay", {"from": "start", "since": "x"})
    assert (forward.status, forward.json["code"]) == (422, "subscription.from")


async def test_the_grant_of_the_moment_decides(world: World, keys: House, receiver: Receiver) -> None:
    refused = await call(world, "thuc-phan", "POST", "/subscriptions", {"feed": FEED, "url": receiver.url})
    assert refused.status == 403 and refused.json["code"].startswith("access.")


async def test_the_same_wish_again_gets_what_stands_and_others_see_nothing(world: World, receiver: Receiver) -> None:
    first = await subscribed(world, receiver)
    assert await subscribed(world, receiver) == first
    listed = (await call(world, "dieu-hanh", "GET", "/subscriptions")).json["subscriptions"]
    assert [each["id"] for each in listed] == [first]
    for method, target in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        other = await call(world, "thuc-phan", method, f"/subscriptions/{first}{target}")
        assert (other.status, other.json["code"]) == (404, "subscription.unknown"), (method, target)
    paused = await call(world, "dieu-hanh", "POST", f"/subscriptions/{first}/pause")
    assert (paused.json["state"], paused.json["cause"]) == ("paused", "subscriber")
    ended = await call(world, "dieu-hanh", "DELETE", f"/subscriptions/{first}")
    assert ended.json["state"] == "ended" and await subscribed(world, receiver) != first


async def test_another_url_is_verified_anew_before_anything_goes_there(
    world: World, keys: House, receiver: Receiver
) -> None:
    await filled(world, 1)
    id = await subscribed(world, receiver)
    async with receiving(world.identities["dieu-hanh"]) as other, pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 1)
        other.echo = False
        moved = await call(world, "dieu-hanh", "POST", f"/subscriptions/{id}/url", {"url": other.url})
        assert (moved.json["state"], moved.json["verified"]) == ("unverified", None)
        (later,) = await filled(world, 1, first=2)
        await run(pusher, world, lambda: row(world, id).tries >= 1)
        assert other.ids == [] and len(receiver.ids) == 1
        other.echo = True
        await run(pusher, world, lambda: other.ids == [later])


async def test_two_keys_sign_while_one_replaces_the_other(world: World, keys: House, receiver: Receiver) -> None:
    await filled(world, 1)
    id, hash_id = await subscribed(world, receiver), world.services.exchange.hash_id
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 1)
        with writing(world.engine) as connection:
            push_keys.make(connection, hash_id, time.time())
            older, newer = reversed(push_keys.in_force(connection, hash_id, time.time()))
            later = push_keys.in_force(connection, hash_id, time.time() + push_keys.OVERLAP + 1)
        await filled(world, 1, first=2)
        await run(pusher, world, lambda: row(world, id).position == 2)
    assert [each.number for each in later] == [newer.number]
    for key in (older, newer):
        receiver.keys = (key.public,)
        assert receiver.verified(*receiver.deliveries[-1]) == f"{id}-0-2-2"
    receiver.keys = (newer.public,)
    with pytest.raises(Exception, match="signature.wrong"):
        receiver.verified(*receiver.deliveries[0])
