"""Who reads which feed: positions follow the logged readings, and nobody learns of another agency's readers."""

from __future__ import annotations

import time

import pytest

from gateway.doors.api.feed_readings import close_sessions
from gateway.doors.health import Vitals
from gateway.exchange.feed_readers import readers
from tests.doors.api.client import World
from tests.doors.told_metrics import metrics

FEED, NAME = "/feeds/incident-alert/v1", "incident-alert/v1"


async def test_a_reader_stands_where_its_readings_say(world: World) -> None:
    for number in range(5):
        await world.hand_in(f"t{number}", {"identifier": f"CB-{number}"})
    world.sequence()
    before = (await world.signed("dieu-hanh", "/feeds/readers")).json["readers"]
    mine = {each["contract"]: each for each in before}[NAME]
    assert (mine["offset"], mine["position"], mine["readAt"], mine["behind"]) == (0, None, None, 5)
    page = await world.signed("dieu-hanh", f"{FEED}?limit=3")
    await close_sessions(world.services, all=True)
    world.sequence()
    mine = {each["contract"]: each for each in (await world.signed("dieu-hanh", "/feeds/readers")).json["readers"]}[
        NAME
    ]
    assert (mine["offset"], mine["newest"], mine["behind"]) == (3, 5, 2)
    text = metrics(Vitals(world.engine, world.services.registry).counts_now())
    assert f'lgsp_feed_reader_behind{{contract="{NAME}",system="dieu-hanh"}} 2' in text
    assert mine["position"] == page.json["next"] and mine["behindSeconds"] >= 0 and mine["readAt"] is not None
    rest = await world.signed("dieu-hanh", f"{FEED}?after={mine['position']}")
    assert len(rest.json["events"]) == 2
    await close_sessions(world.services, all=True)
    world.sequence()
    mine = {each["contract"]: each for each in (await world.signed("dieu-hanh", "/feeds/readers")).json["readers"]}[
        NAME
    ]
    assert (mine["behind"], mine["behindSeconds"]) == (0, 0)


@pytest.mark.attack("access: by a feed")
async def test_another_agency_does_not_see_who_reads(world: World) -> None:
    await world.hand_in("t1", {"identifier": "CB-1"})
    world.sequence()
    await world.signed("dieu-hanh", FEED)
    world.sequence()
    assert (await world.signed("do-thi", "/feeds/readers")).json["readers"] == []
    with world.engine.connect() as connection:
        seen = readers(connection, world.services.registry.snapshot, time.time())
    assert ("H14.0", "dieu-hanh") in {(each.agency, each.system) for each in seen}
