"""The page of the watch and its operations: alarms with their owners, acknowledged by those whom they concern."""

from __future__ import annotations

import pytest

from gateway.console.roles import Role
from gateway.doors.counts import count
from gateway.journal.database import lock_of, writing
from gateway.watch import alarms
from gateway.watch.alarms import Condition, Kind, Look
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import Script
from tests.doors.told_metrics import metrics

REASON = "power cut, engineers are on the way"


@pytest.fixture
def alarmed(people: Desk) -> Desk:
    snapshot, now = people.world.services.registry.snapshot, people.now()
    facts: dict[str, str | int] = {"key": "kinh-te.tls-1", "use": "tls", "until": "2030-01-01T00:00:00.000Z"}
    with writing(people.world.engine, lock_of(people.world.engine)) as connection:
        look = Look(snapshot, now)
        away = [Condition("do-thi", "", now - 300.0, {}), Condition("kinh-te", "", now - 200.0, {})]
        alarms.settle(connection, Kind.DOWN, away, look)
        alarms.settle(connection, Kind.CERTIFICATE, [Condition("kinh-te", "kinh-te.tls-1", now, facts)], look)
        alarms.settle(connection, Kind.QUEUE, [Condition("mot-cua", "", now - 900.0, {"waiting": 7})], look)
        alarms.settle(connection, Kind.DOWN, away[:1], look)
    return people


async def test_the_page_says_what_since_when_whose_and_what_to_do(alarmed: Desk) -> None:
    lan = await alarmed.signed_in("lan", Role.OPERATOR)
    page = Reader((await lan.get("/console/watch")).body).text
    for text in (
        "takes no connections",
        "7 messages wait",
        "kinh-te.tls-1",
        "H14.3/do-thi",
        "Its owner checks",
        "Over",
    ):
        assert text in page, text
    with alarmed.world.engine.connect() as connection:
        found = {each.kind: each for each in alarms.raised(connection)}
    answer = await lan.post(f"/console/watch/{found['down'].id}/acknowledge", reason=REASON)
    assert answer.status == 303
    page = Reader((await lan.get("/console/watch")).body).text
    assert REASON in page and "H14.0/lan" in page
    assert (await lan.post(f"/console/watch/{found['down'].id}/acknowledge", reason=REASON)).status == 409
    assert (await lan.post(f"/console/watch/{found['queue'].id}/acknowledge", reason="short")).status == 400


async def test_an_agency_sees_and_acknowledges_its_own(alarmed: Desk) -> None:
    own, centre = Script(alarmed, "hoa", Role.AGENCY, agency="H14.3"), Script(alarmed, "minh", Role.OPERATOR)
    mine = (await own.get("listAlarms", query=""))["alarms"]
    every = (await centre.get("listAlarms", query=""))["alarms"]
    assert [(each["system"], each["agency"], each["kind"]) for each in mine] == [("do-thi", "H14.3", "down")]
    assert len(every) == 3 and every[0]["acknowledged"] is None
    ended = (await centre.get("listAlarms", query="?state=ended"))["alarms"]
    assert [(each["system"], each["ended"] is not None) for each in ended] == [("kinh-te", True)]
    other = next(each["id"] for each in every if each["system"] == "kinh-te")
    answer = await own.ask("acknowledgeAlarm", {"reason": REASON}, alarm=other)
    assert answer.status == 404
    told = await own.get("acknowledgeAlarm", {"reason": REASON}, alarm=mine[0]["id"])
    assert told["alarm"]["by"].startswith("H14.3/hoa") and told["alarm"]["reason"] == REASON
    assert (await centre.get("listAlarms", query=""))["alarms"][-1]["id"] == mine[0]["id"]


def test_the_metrics_count_open_alarms(alarmed: Desk) -> None:
    with alarmed.world.engine.connect() as connection:
        text = metrics(count(connection, alarmed.now()))
    assert 'lgsp_alarms{kind="down"} 1' in text and 'lgsp_alarms{kind="queue"} 1' in text
    assert "lgsp_alarms_unacknowledged 3" in text
