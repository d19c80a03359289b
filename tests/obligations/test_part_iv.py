"""Part IV: urging and checking."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from examples.story.world import World
from gateway.journal.database import lock_of, writing
from gateway.notices.sending import Mailing
from gateway.registry.registry import Registry
from gateway.settings import Settings
from gateway.transfer import lease as leases
from gateway.watch import alarms
from gateway.watch.alarms import Kind
from gateway.watch.late import LateData
from gateway.watch.watching import Watching
from tests.journal.databases import migrated
from tests.notices.test_mails import Box, mail_server
from tests.obligations.calls import case, steps_of
from tests.obligations.persons import person
from tests.registry.making import filled, province
from tests.scorecards import seeding
from tests.watch.test_late import HOUR, MINUTE, NINE, reading


@pytest.mark.obligation("IV/12.1")
async def test_a_late_system_is_reminded_then_named(tmp_path: Path) -> None:
    """Article IV/12.1: the contact of a system that owes an hour's data gets a reminder before they are due, by mail.
    When they are late, the system is named with its owner, contract and period; it is free when they have come."""
    engine, box, clock = migrated("sqlite", tmp_path), Box(), [NINE]
    filled(engine, province(seeding.DOCUMENT), [], NINE - 90 * 24 * HOUR)
    for hour in range(-3, 0):
        reading(engine, NINE + hour * HOUR + 600, NINE + hour * HOUR + 660)
    registry = Registry(engine)
    with writing(engine) as connection:
        lease = leases.take(connection, "keeper-1", NINE, seconds=600)
    assert lease is not None
    watching = Watching(
        engine=engine,
        lock=lock_of(engine),
        registry=registry,
        clock=lambda: clock[0],
        queue_seconds=600.0,
        late=LateData(lambda: clock[0]),
        mails=True,
    )
    with mail_server(box) as server:
        mailing = Mailing(
            engine=engine, lock=lock_of(engine), registry=registry, server=server, name="LGSP", clock=lambda: clock[0]
        )

        async def until(minute: int) -> list[tuple[str, str]]:
            """What is open then, by kind and system."""
            while clock[0] < NINE + minute * MINUTE:
                clock[0] += MINUTE
                await watching.run_once(lease)
                await mailing.run_once(lease)
            with engine.connect() as connection:
                return [(each.kind, each.system) for each in alarms.raised(connection)]

        assert await until(100) == [] and not box.letters
        assert await until(115) == [(Kind.DUE, "quan-trac")]  # due at eleven
        assert "chưa đủ; hạn là" in box.letters[0].get_content()
        assert await until(125) == [(Kind.LATE, "quan-trac")]
        reading(engine, NINE + 600, NINE + 126 * MINUTE)
        assert await until(130) == []
        assert await until(150) == []
    named = registry.snapshot.systems["quan-trac"]
    texts = [each.get_content() for each in box.letters]
    assert named.agency == "H14.2" and all("quan-trac" in each and "observation/v1" in each for each in texts)
    engine.dispose()


@pytest.mark.server
@pytest.mark.obligation("IV/12.2")
def test_a_difficulty_that_users_report_is_recorded_and_answered(world: World, instance: Settings) -> None:
    """Article IV/12.2: a user reports a difficulty; it is a case of the centre with a deadline. The centre answers, who
    reported it reads the answer, and the log has both."""
    user, centre = person(world, instance, "agency", "H14.22"), person(world, instance, "centre")
    text = f"Không kết nối được {uuid.uuid4()}"
    made = user.post("/api/cases", {"kind": "difficulty", "subject": "Lỗi kết nối", "text": text}, 201)
    listed = {each["id"]: each for each in centre.read("/api/cases?kind=difficulty")["cases"]}
    found = listed[made["case"]]
    assert (found["sender"], list(found["receivers"]), found["text"]) == ("H14.22", ["H14.0"], text) and found["due"]
    assert case(world, "answer", made["case"], "--text", "Đã mở lại cổng mạng")["state"] == "answered"
    assert user.read(f"/api/cases/{made['case']}")["case"]["steps"][1]["text"] == "Đã mở lại cổng mạng"
    assert steps_of(instance, made["case"]) == [("open", "H14.22"), ("answer", "H14.0")]
