"""Events of pages and streams, read by the official CloudEvents SDK of Python."""

from __future__ import annotations

import json

import pytest

from tests.doors.api.client import World
from tests.doors.api.streams import streamed
from tests.doors.api.test_api_feed_times import FEED, ONE, filled


async def test_the_official_sdk_reads_the_events(world: World) -> None:
    formats = pytest.importorskip(
        "cloudevents.core.formats.json", reason="the package cloudevents (2 or later) is not installed"
    )
    await filled(world, ONE)
    page = (await world.signed("dieu-hanh", FEED)).json
    async with streamed(world, "dieu-hanh", f"{FEED}?form=events") as stream:
        await stream.until(lambda each: each.ids == [ONE])
    for text in (json.dumps(page["events"][0]), stream.events[0].data):
        event = formats.JSONFormat().read(None, text)  # raises for attributes that are none
        assert (event.get_id(), event.get_specversion()) == (ONE, "1.0")
        assert event.get_type() == "urn:lgsp:contract:incident-alert:v1:submitAlert"
        assert event.get_extension("lgspagency") == "H14.2" and event.get_data()["identifier"] == ONE
        assert json.loads(formats.JSONFormat().write(event))["data"] == event.get_data()
