"""A reader proves by the sealed digests that it holds the whole feed, with masks too, and by any way of reading."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from gateway.client.answers import Answer
from gateway.client.feed_digests import Digesting, Digests
from gateway.feeds.digests import begin_by_minutes
from gateway.feeds.sealing import Sealing
from gateway.journal.database import lock_of
from gateway.journal.schema import tables
from security.transparency.checkpoint import NoteKey
from tests.attacks.access.test_attack_feed_pages import FEED
from tests.doors.api.client import World

NAME = "incident-alert/v1"
HOUR = 3600


def alert(number: int) -> dict[str, Any]:
    return {"identifier": f"CB-{number}", "sender": "canh-bao", "areas": ["04"]}


async def sealed(world: World, count: int = 3, period: int = HOUR) -> None:
    """Messages that were sequenced in the period before this one, and the sealing of that period."""
    for number in range(count):
        await world.hand_in(f"t{number}", alert(number))
    world.sequence()
    world.note(1)
    world.sequence()
    with world.engine.begin() as connection:
        connection.execute(update(tables.feed_event).values(sequenced=time.time() // period * period - 30))
        if period != HOUR:
            begin_by_minutes(connection)
    sealing = Sealing(world.engine, lock_of(world.engine), time.time)
    while sealing.step(world.lease):
        world.sequence()
    world.sequence()


def read(world: World, answer: Any) -> Digests:
    key = NoteKey.from_text((world.services.settings.data / "log" / "log.vkey").read_text())
    return Digests.read(Answer(200, {}, answer.body, answer.body, True), NAME, key)


@pytest.fixture
def logged(world: World) -> World:
    (world.services.settings.data / "log").mkdir(exist_ok=True)
    key = world.sequencer._key
    (world.services.settings.data / "log" / "log.vkey").write_text(str(key.vkey))
    return world


async def test_pages_and_lines_hold_what_was_sealed(logged: World) -> None:
    world = logged
    await sealed(world)
    digests = read(world, await world.signed("dieu-hanh", f"{FEED}/digests"))
    assert [(each.first, each.last, each.proved) for each in digests.digests] == [(1, 3, True)] and not digests.more
    pages, lines = Digesting(), Digesting()
    after = ""
    for _ in range(3):
        page = (await world.signed("dieu-hanh", f"{FEED}?limit=1{after}")).json
        pages.add(page["events"][0])
        after = f"&after={page['next']}"
    for line in (await world.signed("dieu-hanh", f"{FEED}?form=lines")).body.splitlines()[:-1]:
        lines.add(json.loads(line))
    assert pages.compare(digests.digests).whole == lines.compare(digests.digests).whole == 1
    missing = Digesting()
    missing.add(json.loads(line))
    assert "3 events were sealed, 1 are held (missing)" in missing.compare(digests.digests).wrong[0]


async def test_a_sandbox_serves_minutes_that_state_their_period(logged: World) -> None:
    world = logged
    await sealed(world, period=60)
    answer = await world.signed("dieu-hanh", f"{FEED}/digests")
    (told,), (digest,) = answer.json["digests"], read(world, answer).digests
    assert answer.json["period"] == told["period"] == json.loads(told["entry"]["text"])["facts"]["period"] == 60
    page = Digesting()
    for event in (await world.signed("dieu-hanh", FEED)).json["events"]:
        page.add(event)
    assert digest.proved and page.compare([digest]).whole == 1
    again = await world.signed("dieu-hanh", f"{FEED}/digests?since={told['until']}")
    assert again.json["digests"] == [] and again.json["period"] == 60
    forged = json.loads(answer.body)
    del forged["digests"][0]["period"]  # then it would be an hour, with the times of a minute
    answer.body = json.dumps(forged).encode()
    with pytest.raises(ValueError):
        read(world, answer)


async def test_a_changed_answer_proves_nothing(logged: World) -> None:
    world = logged
    await sealed(world)
    answer = await world.signed("dieu-hanh", f"{FEED}/digests?since=2020-01-01T00:00:00Z&until=2099-01-01T00:00:00Z")
    told = answer.json
    changes: tuple[Callable[[Any], Any], ...] = (
        lambda each: each.update(events=2),
        lambda each: each["entry"].update(text=each["entry"]["text"].replace('"events":3', '"events":2')),
        lambda each: each["entry"].update(index=each["entry"]["index"] - 1),
        lambda each: each["entry"].update(proof=[base64.b64encode(bytes(32)).decode()]),
        lambda each: each["entry"].pop("proof"),
        lambda each: each.update(period=60),
        lambda each: each["entry"].update(text=each["entry"]["text"].replace('"events":3', '"events":3,"period":60')),
    )
    for change in changes:
        forged = json.loads(answer.body)
        change(forged["digests"][0])
        answer.body = json.dumps(forged).encode()
        with pytest.raises(ValueError):
            read(world, answer)
        answer.body = json.dumps(told).encode()
    assert read(world, answer).digests


async def test_who_may_not_read_the_feed_may_not_read_its_digests(logged: World) -> None:
    world = logged
    await sealed(world, 1)
    refused = await world.signed("do-thi", f"{FEED}/digests")
    assert refused.status == 403
    assert (await world.signed("dieu-hanh", "/feeds/unknown/v1/digests")).status == 404
    assert (await world.signed("dieu-hanh", f"{FEED}/digests?since=yesterday")).status == 400
    none = await world.signed("dieu-hanh", f"{FEED}/digests?since=2099-01-01T00:00:00Z")
    assert none.status == 200 and none.json["digests"] == []
