"""Several feeds with one cursor, filters that tell nothing, and codings."""

from __future__ import annotations

import json

import pytest
import zstandard

from contracts.base.errors import Failure
from gateway.doors.api import feed_pages
from gateway.doors.api.feed_filters import area_filter
from gateway.feeds import cursor
from tests.doors.api.client import World
from tests.doors.api.streams import streamed
from tests.doors.api.test_api_feed_times import FEED, ONE, THREE, TWO, filled, ids
from tests.doors.api.test_api_reading import regrant
from tests.registry.making import contracts

BOTH = "/feeds/events?feeds=incident-alert/v1,field-report/v1"


async def test_two_feeds_have_one_cursor(world: World) -> None:
    await filled(world, ONE, TWO)
    first = (await world.signed("dieu-hanh", f"{BOTH}&limit=2")).json
    assert first["contracts"] == ["incident-alert/v1", "field-report/v1"]
    assert (ids(first["events"]), first["more"]) == ([ONE], True)
    second = (await world.signed("dieu-hanh", f"{BOTH}&after={first['next']}")).json
    assert (ids(second["events"]), second["more"]) == ([TWO], False)
    turned = "/feeds/events?feeds=field-report/v1,incident-alert/v1"
    assert ids((await world.signed("dieu-hanh", f"{turned}&after={first['next']}")).json["events"]) == [TWO]
    async with streamed(world, "dieu-hanh", f"{BOTH}&form=events&after={second['next']}") as stream:
        await filled(world, THREE)
        await stream.until(lambda each: each.ids == [THREE])
    third = (await world.signed("dieu-hanh", f"{BOTH}&after={second['next']}&wait=5")).json
    assert ids(third["events"]) == [THREE] and stream.cursor == third["next"]


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/feeds/events", 400, "api.invalid"),
        ("/feeds/events?feeds=incident-alert/v1,incident-alert/v1", 400, "api.invalid"),
        ("/feeds/events?feeds=" + ",".join(f"a/v{number}" for number in range(1, 10)), 400, "api.invalid"),
        ("/feeds/events?feeds=incident-alert/v1,no-such/v1", 404, "feed.unknown"),
        ("/feeds/events?feeds=incident-alert/v1%0d%0a", 400, "api.invalid"),
        (f"{BOTH}&after={cursor.encode('incident-alert/v1', 0)}", 400, "feed.bad-cursor"),
        (f"{FEED}?after={cursor.encode_all({'incident-alert/v1': 0, 'field-report/v1': 0})}", 400, "feed.bad-cursor"),
        (f"{BOTH}&after={cursor.encode_all({'incident-alert/v1': 0, 'field-report/v1': 0}, 'other')}", 410, None),
        (f"{FEED}?type=other", 400, "api.invalid"),
        (f"{FEED}?agency=" + ",".join(f"H{number}" for number in range(30)), 400, "api.invalid"),
    ],
)
async def test_what_cannot_be_asked_for(world: World, target: str, status: int, code: str | None) -> None:
    answer = await world.signed("dieu-hanh", target)
    assert (answer.status, answer.json["code"]) == (status, code or "feed.other-log"), answer.body


async def test_each_feed_needs_its_own_grant(world: World) -> None:
    await filled(world, ONE)
    answer = await world.signed("thuc-phan", BOTH)
    assert answer.status == 403
    assert world.logged("feed-read") == []


async def handed_in(world: World, transfer: str, type: str) -> None:
    await world.hand_in(transfer, {"identifier": transfer, "note": "n"}, type=type)
    world.sequence()


async def test_a_filter_by_type_and_agency(world: World) -> None:
    await handed_in(world, ONE, "submitAlert")
    await handed_in(world, TWO, "submitAlert:corrected")
    await handed_in(world, THREE, "submitAlert:recalled")
    page = (await world.signed("dieu-hanh", f"{FEED}?type=corrected,recalled&limit=1")).json
    assert (ids(page["events"]), page["more"]) == ([TWO], True)
    last = (await world.signed("dieu-hanh", f"{FEED}?type=corrected,recalled&after={page['next']}")).json
    assert (ids(last["events"]), last["more"]) == ([THREE], False)
    none = (await world.signed("dieu-hanh", f"{FEED}?agency=H14.9")).json
    assert (none["events"], none["more"], none["next"]) == ([], False, last["next"])
    whole = (await world.signed("dieu-hanh", f"{FEED}?agency=H14.2,H14.9")).json
    assert ids(whole["events"]) == [ONE, TWO, THREE]
    read = [each["facts"]["from"] for each in world.logged("feed-read")]
    assert read == [2, 1]  # the first event was read by the last page alone
    async with streamed(world, "dieu-hanh", f"{FEED}?form=events&type=recalled") as stream:
        await stream.until(lambda each: each.ids == [THREE])


async def test_a_filter_tells_nothing_that_the_grant_hides(world: World) -> None:
    regrant(world, fields=["*", "!msgType", "!identifier"])
    await handed_in(world, ONE, "submitAlert:recalled")
    assert (await world.signed("dieu-hanh", f"{FEED}?type=recalled")).json["events"] == []
    shown = (await world.signed("dieu-hanh", f"{FEED}?type=submitted")).json["events"]
    assert ids(shown) == [ONE] and shown[0]["type"].endswith(":submitAlert")


async def about(world: World, transfer: str, *codes: str) -> None:
    geocode = [{"valueName": "ma-xa", "value": each} for each in codes]
    area = [{"areaDesc": "x", **({"geocode": geocode} if codes else {})}]
    await world.hand_in(transfer, {"identifier": transfer, "info": [{"event": "x", "area": area}]}, type="submitAlert")
    world.sequence()


async def test_a_filter_by_area(world: World) -> None:
    await about(world, ONE, "01273")
    await about(world, TWO, "01288", "01477")
    await about(world, THREE)
    for area, found in (
        ("01273", [ONE]),
        ("01477", [TWO]),
        ("01273,01288", [ONE, TWO]),
        ("04", [ONE, TWO]),  # the province that they lie in, by the table
        ("012", []),  # a part of a code is none
        ("99", []),
    ):
        page = (await world.signed("dieu-hanh", f"{FEED}?area={area}")).json
        assert (ids(page["events"]), page["more"]) == (found, False), area
    page = (await world.signed("dieu-hanh", f"{FEED}?area=01288&type=recalled")).json
    assert page["events"] == []
    async with streamed(world, "dieu-hanh", f"{FEED}?form=events&area=01477") as stream:
        await stream.until(lambda each: each.ids == [TWO])


@pytest.mark.parametrize("hidden", ["info.area", "info.area.geocode", "info.area.geocode.value", "info"])
async def test_a_reader_cannot_filter_by_an_area_that_he_does_not_see(world: World, hidden: str) -> None:
    regrant(world, fields=["*", f"!{hidden}"])
    await about(world, ONE, "01273")
    for area in ("01273", "01288"):
        answer = await world.signed("dieu-hanh", f"{FEED}?area={area}")
        assert (answer.status, answer.json["code"]) == (400, "api.invalid")
        (finding,) = answer.json["findings"]
        assert (finding["here"], finding["got"]) == ("query area", "a field that your grant hides")
    assert world.logged("feed-read") == []


def test_a_feed_without_an_area_is_not_filtered_by_it() -> None:
    with pytest.raises(Failure) as caught:
        area_filter(contracts()["dossier-status/v1"], {"submitStatus": None}, frozenset({"01273"}))
    assert caught.value.findings[0].got == "a feed whose contract names no area"


async def test_the_work_of_a_filtered_page_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_pages, "MOST", 1)
    monkeypatch.setattr(feed_pages, "LOOKED_AT", 2)
    await filled(world, ONE, TWO, THREE)
    page = (await world.signed("dieu-hanh", f"{FEED}?type=recalled")).json
    assert (page["events"], page["more"]) == ([], True)
    end = (await world.signed("dieu-hanh", f"{FEED}?type=recalled&after={page['next']}")).json
    assert (end["events"], end["more"]) == ([], False)


async def test_zstd(world: World) -> None:
    await filled(world, ONE)
    answer = await world.signed("dieu-hanh", f"{FEED}?coding=zstd")
    assert answer.headers["content-encoding"] == "zstd"
    assert ids(json.loads(zstandard.decompress(answer.body))["events"]) == [ONE]
