"""The list of feeds; a feed by times, with a wait for what comes next, as JSON lines, and compressed."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from urllib.parse import quote

import pytest

from contracts.base.times import rfc3339
from tests.doors.api.client import World

ONE, TWO, THREE = (f"01935b6e-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))
FEED = "/feeds/incident-alert/v1"


async def filled(world: World, *transfers: str) -> None:
    for transfer in transfers:
        await world.hand_in(transfer, {"identifier": transfer, "note": "ghi chú"})
        world.sequence()


def ids(events: list[dict[str, str]]) -> list[str]:
    return [event["id"] for event in events]


async def test_the_list_names_what_the_caller_may_read(world: World) -> None:
    await filled(world, ONE)
    await world.hand_in(TWO, {"identifier": TWO, "note": "x"})  # not sequenced yet
    (feed,) = [
        each
        for each in (await world.signed("dieu-hanh", "/feeds")).json["feeds"]
        if each["contract"] == "incident-alert/v1"
    ]
    assert feed["newest"]["id"] == ONE and feed["pending"] == 1 and feed["lagSeconds"] >= 0
    assert "H14.2" in feed["sources"] and "H14.0" not in feed["sources"]
    world.sequence()
    page = await world.signed("dieu-hanh", f"{feed['address']}?after={feed['head']}")
    assert ids(page.json["events"]) == [TWO]
    assert (await world.signed("thuc-phan", "/feeds")).json == {"feeds": []}
    assert len(world.logged("feed-read")) == 1  # the list reads no event


async def test_a_range_of_times(world: World) -> None:
    await filled(world, ONE, TWO, THREE)
    events = (await world.signed("dieu-hanh", FEED)).json["events"]
    times = [quote(event["sequencedtime"]) for event in events]
    since = (await world.signed("dieu-hanh", f"{FEED}?since={times[1]}")).json
    assert ids(since["events"]) in ([TWO, THREE], [ONE, TWO, THREE])  # times are written to the millisecond
    before = (await world.signed("dieu-hanh", f"{FEED}?until={times[0]}")).json
    assert (before["events"], before["more"], before["complete"]) == ([], False, True)
    later = quote(rfc3339(time.time() + 3600))
    open_ended = (await world.signed("dieu-hanh", f"{FEED}?until={later}&limit=2")).json
    assert (ids(open_ended["events"]), open_ended["more"], open_ended["complete"]) == ([ONE, TWO], True, False)
    rest = (await world.signed("dieu-hanh", f"{FEED}?until={later}&after={open_ended['next']}")).json
    assert (ids(rest["events"]), rest["more"], rest["complete"]) == ([THREE], False, False)
    none = (await world.signed("dieu-hanh", f"{FEED}?since={later}")).json
    assert none["events"] == [] and none["next"] == rest["next"]


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-11-24", "2026-11-24T07:00:00", "9999999", "", "0001-01-01T00:00:00+14:00"]
)
async def test_a_time_that_is_none_is_named(world: World, text: str) -> None:
    answer = await world.signed("dieu-hanh", f"{FEED}?since={quote(text)}")
    if text.startswith("0001"):  # a time all the same
        assert answer.status in (200, 400)
        return
    assert answer.status == 400 and answer.json["code"] == "api.invalid"
    assert answer.json["findings"][0]["here"] == "query since"


async def test_who_waits_gets_the_event_when_it_comes(world: World) -> None:
    await filled(world, ONE)
    first = (await world.signed("dieu-hanh", f"{FEED}?wait=30")).json
    assert ids(first["events"]) == [ONE]  # there is one: no wait
    waiting = asyncio.create_task(world.signed("dieu-hanh", f"{FEED}?wait=30&after={first['next']}"))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await filled(world, TWO)
    answer = await asyncio.wait_for(waiting, 25)
    assert ids(answer.json["events"]) == [TWO]
    empty = await world.signed("dieu-hanh", f"{FEED}?wait=1&after={answer.json['next']}")
    assert empty.json["events"] == [] and empty.json["next"] == answer.json["next"]


async def test_nobody_waits_for_a_range_that_is_over(world: World) -> None:
    await filled(world, ONE)
    long_ago = quote("2001-01-01T00:00:00Z")
    answer = await asyncio.wait_for(world.signed("dieu-hanh", f"{FEED}?wait=30&until={long_ago}"), 20)
    assert answer.json["events"] == [] and answer.json["complete"] is True


async def test_a_door_that_stops_lets_nobody_wait(world: World) -> None:
    waiting = asyncio.create_task(world.signed("dieu-hanh", f"{FEED}?wait=30"))
    await asyncio.sleep(0.3)
    world.app.draining = True
    assert (await asyncio.wait_for(waiting, 25)).json["events"] == []


async def test_events_as_lines(world: World) -> None:
    await filled(world, ONE, TWO)
    answer = await world.signed("dieu-hanh", f"{FEED}?form=lines&limit=1")
    assert answer.headers["content-type"] == "application/x-ndjson" and answer.body.endswith(b"\n")
    event, place = (json.loads(line) for line in answer.body.splitlines())
    whole = (await world.signed("dieu-hanh", f"{FEED}?limit=1")).json
    assert [event] == whole["events"] and place == {"next": whole["next"], "more": True}


@pytest.mark.parametrize("form", ["object", "lines"])
async def test_a_compressed_page_is_signed_as_it_leaves(world: World, form: str) -> None:
    await filled(world, ONE)
    plain = await world.signed("dieu-hanh", f"{FEED}?form={form}")
    answer = await world.signed("dieu-hanh", f"{FEED}?form={form}&coding=gzip")
    assert answer.headers["content-encoding"] == "gzip" and "signature" in answer.headers
    assert gzip.decompress(answer.body) == plain.body


async def test_the_state_over_the_door(world: World) -> None:
    assert (await world.signed("dieu-hanh", "/feeds/field-report/v1/state")).json["code"] == "feed.no-state"
    assert (await world.signed("thuc-phan", f"{FEED}/state")).status == 403
    await filled(world, ONE)  # handed in past the exchange: there is no key
    page = await world.signed("dieu-hanh", f"{FEED}/state?form=lines&coding=gzip")
    (place,) = (json.loads(line) for line in gzip.decompress(page.body).splitlines())
    assert (place["more"], set(place)) == (False, {"next", "more", "continue"})
    assert ids((await world.signed("dieu-hanh", f"{FEED}?after={place['continue']}")).json["events"]) == []
