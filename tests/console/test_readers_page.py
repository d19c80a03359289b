"""Who reads which feed, as a page and by program; who sees one agency sees its readers alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.console.roles import Role
from gateway.console.work import feed_readers
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import Script
from tests.push.receiving import filled

FEED = "/feeds/incident-alert/v1"


async def test_the_page_says_how_far_and_how_far_behind(people: Desk) -> None:
    await filled(people.world, 3)
    page = (await people.world.signed("dieu-hanh", f"{FEED}?limit=2")).json
    assert len(page["events"]) == 2
    people.world.sequence()
    minh = await people.signed_in("minh", Role.OPERATOR)
    shown = Reader((await minh.get("/console/readers")).body)
    assert "H14.0/dieu-hanh" in shown.text and "incident-alert/v1" in shown.text
    assert people.world.services.registry.snapshot.systems["dieu-hanh"].title.of("en") in shown.text
    script = Script(people, "hoang", Role.OPERATOR)
    (row,) = [each for each in (await script.get("listFeedReaders"))["readers"] if each["contract"] == FEED[7:]]
    assert (row["system"], row["head"]) == ("dieu-hanh", 3) and row["behind"] == row["head"] - row["position"]


async def test_nobody_sees_readers_of_another_agency(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.AGENCY, agency="H14.2")
    assert b"dieu-hanh" not in (await lan.get("/console/readers")).body
    hoa = await people.signed_in("hoa", Role.CENTRE, agency="H14.0")
    assert b"dieu-hanh" in (await hoa.get("/console/readers")).body


async def test_home_names_a_reader_that_is_far_behind(people: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_readers, "KEPT_SECONDS", 0.0)
    monkeypatch.setattr(feed_readers, "_REST", 0.0)
    await filled(people.world, 2)
    assert len((await people.world.signed("dieu-hanh", f"{FEED}?limit=1")).json["events"]) == 1
    people.world.sequence()
    minh, script = await people.signed_in("minh", Role.OPERATOR), Script(people, "hoang", Role.OPERATOR)
    assert "far behind" not in Reader((await minh.get("/console")).body).text
    assert (await script.get("readAttention"))["behind"] == []
    people.services.settings = replace(people.services.settings, behind_events=1)
    await filled(people.world, 3, first=3)
    text = Reader((await minh.get("/console")).body).text
    assert "Readers of feeds that are far behind" in text and "H14.0/dieu-hanh" in text and "events not read" in text
    (row,) = (await script.get("readAttention"))["behind"]
    assert row["system"] == "dieu-hanh" and row["behind"] > 1
    people.services.settings = replace(people.services.settings, behind_events=100)
    assert "far behind" not in Reader((await minh.get("/console")).body).text
    people.moved = 2 * 3600.0
    text = Reader((await (await people.sign_in_anew("minh")).get("/console")).body).text
    assert "far behind" in text and "2 hours" in text, "by seconds too"
    lan = await people.signed_in("lan", Role.AGENCY, agency="H14.2")
    assert "far behind" not in Reader((await lan.get("/console")).body).text
