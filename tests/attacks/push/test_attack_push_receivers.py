"""Receivers that lie, stall or lead elsewhere: events are lost to none of them, and the gateway calls nobody else."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest
from aiohttp import web

from tests.doors.api.client import World
from tests.push.receiving import FEED, Receiver, call, filled, pushing, receiving, row, run, subscribed
from tests.registry.making import House

pytestmark = pytest.mark.attack("push: receivers that lie or lead elsewhere")


async def _drops(request: web.Request, _body: bytes) -> web.StreamResponse:
    """200, then nothing: the connection breaks before the answer is whole."""
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b"tak")
    assert request.transport is not None
    request.transport.abort()
    return answer


async def _drips(request: web.Request, _body: bytes) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(200):
        await answer.write(b".")
        await asyncio.sleep(0.05)
    return answer


@pytest.mark.full
@pytest.mark.parametrize(
    ("behave", "failure"), [(_drops, "push.dropped"), (_drips, "push.timeout")], ids=["drops", "drips"]
)
async def test_what_is_not_surely_taken_comes_again(
    world: World, keys: House, receiver: Receiver, behave: Any, failure: str
) -> None:
    (sent,) = await filled(world, 1)
    receiver.behave = behave
    id = await subscribed(world, receiver)
    async with pushing(world, keys, seconds=3.0) as pusher:
        await run(pusher, world, lambda: row(world, id).failure == failure)
        assert row(world, id).position == 0
        receiver.behave = None
        await run(pusher, world, lambda: receiver.ids == [sent])


async def test_of_a_huge_answer_only_the_beginning_is_read(world: World, keys: House, receiver: Receiver) -> None:
    written = 0

    async def floods(request: web.Request, _body: bytes) -> web.StreamResponse:
        nonlocal written
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(2_000):
            await answer.write(b"x" * 65_536)
            written += 65_536
        return answer

    await filled(world, 1)
    receiver.behave = floods
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 1)
    assert written < 40_000_000  # what buffers of the loopback hold, of 131 MB


async def test_a_redirect_is_not_followed(world: World, keys: House, receiver: Receiver) -> None:
    await filled(world, 1)
    async with receiving(world.identities["dieu-hanh"]) as other, pushing(world, keys) as pusher:

        async def redirects(_request: web.Request, _body: bytes) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": other.url})

        receiver.behave = redirects
        id = await subscribed(world, receiver)
        await run(pusher, world, lambda: row(world, id).failure == "push.redirect")
        assert other.deliveries == [] and other.challenges == 0


async def test_a_certificate_that_does_not_hold_gets_nothing(world: World, keys: House, tmp_path: Any) -> None:
    (tmp_path / "other").mkdir()
    stranger = House.make(tmp_path / "other", 1_700_000_000.0 + 95_000_000)
    named = stranger.identity("dieu-hanh", 1_700_000_000.0 + 95_000_000)
    await filled(world, 1)
    async with receiving(named) as receiver, pushing(world, keys) as pusher:
        id = await subscribed(world, receiver)
        await run(pusher, world, lambda: row(world, id).failure == "push.certificate")
        assert receiver.challenges == 0
    other_host = keys.identity("other-host", time.time(), hosts=("other.example",))
    async with receiving(other_host) as other, pushing(world, keys) as pusher:
        id = await subscribed(world, other)
        await run(pusher, world, lambda: row(world, id).failure == "push.certificate")
        assert other.challenges == 0


async def test_a_url_that_leads_inwards_is_refused_and_a_name_that_does_so_later_gets_nothing(
    world: World, keys: House, receiver: Receiver
) -> None:
    object.__setattr__(world.services.settings, "push_networks", "")
    for url in ("https://127.0.0.1:9/", "https://[::ffff:10.0.0.1]/", "https://u:p@x.example/", "http://x.example/"):
        refused = await call(world, "dieu-hanh", "POST", "/subscriptions", {"feed": FEED, "url": url})
        assert (refused.status, refused.json["code"]) == (422, "subscription.url"), url
    port = receiver.url.rpartition(":")[2].partition("/")[0]
    asked: list[str] = []

    async def lookup(host: str, port: int) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    await filled(world, 1)
    wish = {"feed": FEED, "url": f"https://receiver.example:{port}/hook", "from": "start"}
    answer = await call(world, "dieu-hanh", "POST", "/subscriptions", wish)
    assert answer.status == 201
    async with pushing(world, keys, networks="", seconds=1.0, lookup=lookup) as pusher:
        await run(pusher, world, lambda: row(world, answer.json["id"]).tries >= 2)
    assert row(world, answer.json["id"]).failure == "push.address" and asked
    assert receiver.challenges == 0 and receiver.deliveries == []


async def test_a_host_that_leads_inwards_after_it_was_verified_gets_nothing_more(
    world: World, keys: House, receiver: Receiver
) -> None:
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).state == "active")
    await filled(world, 1)
    async with pushing(world, keys, networks="10.0.0.0/8") as pusher:  # the instance does not allow it any more
        await run(pusher, world, lambda: row(world, id).failure == "push.address")
    assert receiver.deliveries == []
