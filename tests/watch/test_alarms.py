"""Alarms: what is wrong is raised in time, told once, acknowledged by a person, and over when it is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select

from contracts.base.errors import Failure
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.notices.sending import Mailing
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.sandbox import live
from gateway.watch import alarms, conditions, telling
from gateway.watch.alarms import Alarm, Condition, Kind, Look
from gateway.watch.late import LateData
from gateway.watch.watching import Watching
from tests.delivery.posting import Post
from tests.journal.databases import KINDS, migrated
from tests.notices.test_mails import Box, mail_server
from tests.registry.making import House, filled, province
from tests.size import examples
from tests.watch.test_probes import NOON, logged, probing_of

MINUTE = 60.0
DAY = 86_400.0
HOLD = 100.0


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = migrated(request.param, tmp_path_factory.mktemp("alarms"))
    filled(engine, province(), [], NOON)
    yield engine
    engine.dispose()


@pytest.fixture
def snapshot(engine: Engine) -> Snapshot:
    with writing(engine) as connection:
        for table in (tables.alarm, tables.mail, tables.log_pending):
            connection.execute(delete(table))
    with engine.connect() as connection:
        return load_snapshot(connection)


def noted(engine: Engine) -> list[dict[str, Any]]:
    """The facts of the entries on alarms, in order."""
    with engine.connect() as connection:
        rows = connection.execute(select(tables.log_pending).where(tables.log_pending.c.phase == "alarm"))
        entries = [json.loads(bytes(row.entry)) for row in sorted(rows, key=lambda row: row.id)]
    return [{**entry["facts"], "actor": entry["actor"]} for entry in entries]


def away(*systems: str, at: float = NOON) -> list[Condition]:
    return [Condition(each, "", at, {}) for each in systems]


def opened(engine: Engine) -> list[Alarm]:
    with engine.connect() as connection:
        return alarms.raised(connection)


ROUND = st.tuples(st.integers(1, 90), st.sets(st.sampled_from(["do-thi", "kinh-te"])))


@given(st.lists(ROUND, max_size=14))
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_alarm_is_raised_after_the_hold_and_ends_with_what_raised_it(
    engine: Engine, snapshot: Snapshot, rounds: list[tuple[int, set[str]]]
) -> None:
    with writing(engine) as connection:
        for table in (tables.alarm, tables.log_pending):
            connection.execute(delete(table))
    now, since, wanted = NOON, dict[str, float](), list[tuple[str, str]]()
    raised = set[str]()
    for seconds, systems in rounds:
        now += seconds
        with writing(engine) as connection:
            look = Look(snapshot, now, HOLD)
            alarms.settle(connection, Kind.DOWN, away(*sorted(systems), at=now), look)
        for system in sorted(since.keys() | systems):
            if system not in systems:
                del since[system]
                if system in raised:
                    raised.remove(system)
                    wanted.append((system, "over"))
            elif now - since.setdefault(system, now) >= HOLD and system not in raised:
                raised.add(system)
                wanted.append((system, "raised"))
        assert {each.system: each.since for each in opened(engine)} == {each: since[each] for each in raised}
    assert sorted((each["provider"], each["state"]) for each in noted(engine)) == sorted(wanted)


def test_one_person_takes_notice_with_a_reason(engine: Engine, snapshot: Snapshot) -> None:
    look = Look(snapshot, NOON)
    with writing(engine) as connection:
        alarms.settle(connection, Kind.DOWN, away("do-thi"), look)
    (alarm,) = opened(engine)
    with writing(engine) as connection:
        alarms.acknowledge(connection, alarm, ("H14.0/lan", "power cut, engineers on the way"), look)
    with pytest.raises(Failure) as again, writing(engine) as connection:
        alarms.acknowledge(connection, alarm, ("H14.0/minh", "I am looking at it"), look)
    assert again.value.code == "alarm.acknowledged" and "H14.0/lan" in str(again.value.facts)
    with pytest.raises(Failure) as unknown, engine.connect() as connection:
        alarms.find(connection, "no-such-alarm")
    assert unknown.value.code == "alarm.unknown"
    states = [(each["state"], each["actor"], each["agency"]) for each in noted(engine)]
    assert states == [("raised", "gateway", "H14.3"), ("acknowledged", "H14.0/lan", "H14.3")]
    assert opened(engine)[0].reason == "power cut, engineers on the way"
    with writing(engine) as connection:
        alarms.settle(connection, Kind.DOWN, [], look)
        alarms.forget(connection, NOON + alarms.KEPT - 1)
        assert len(alarms.raised(connection, ended=True)) == 1
        alarms.forget(connection, NOON + alarms.KEPT + 1)
        assert not alarms.raised(connection, ended=True)


def test_many_alarms_of_one_contact_are_one_mail(engine: Engine, snapshot: Snapshot) -> None:
    def round(now: float, *systems: str) -> int:
        with writing(engine) as connection:
            alarms.settle(connection, Kind.DOWN, away(*systems, at=now), Look(snapshot, now))
            return telling.tell(connection, snapshot, now)

    def mails() -> list[tuple[str, int, list[str]]]:
        with engine.connect() as connection:
            rows = connection.execute(select(tables.mail).order_by(tables.mail.c.id)).all()
        facts = [(row.system, json.loads(row.facts)) for row in rows]
        return [(system, each["number"], [line["words"] for line in each["lines"]]) for system, each in facts]

    same = sorted(each.id for each in snapshot.systems.values() if each.agency == "H14.5")
    assert len(same) >= 2
    first, second = same[:2]
    assert round(NOON, first) == 0  # it waits for others
    assert round(NOON + 20, first, second, "do-thi") == 0
    assert round(NOON + 40, first, second, "do-thi") == 1
    assert mails() == [(first, 2, ["alarm.down.raised"] * 2)]
    assert round(NOON + 60, first, second, "do-thi") == 1  # of another contact
    assert round(NOON + 70, second, "do-thi") == 0  # over; the next mail waits
    assert round(NOON + 100, second, "do-thi") == 0
    for step in range(10):  # it comes and goes, and is over before anybody is told
        round(NOON + 110 + step, *(second, "do-thi", *([first] if step % 2 else [])))
    assert round(NOON + 130, second, "do-thi") == 0
    assert round(NOON + 40 + telling.PAUSE, second, "do-thi") == 1
    assert mails()[-1] == (first, 1, ["alarm.down.over"])
    assert round(NOON + 3 * telling.PAUSE) == 0 and round(NOON + 3 * telling.PAUSE + 40) == 2
    assert {(number, *words) for _, number, words in mails()[-2:]} == {(1, "alarm.down.over")}


def test_what_can_wait_is_told_by_day(engine: Engine, snapshot: Snapshot) -> None:
    night = NOON + 12 * 3600.0
    facts: dict[str, str | int] = {"key": "k", "use": "tls", "until": "2026-12-20T00:00:00.000Z"}
    with writing(engine) as connection:
        certificate = Condition("do-thi", "k", night, facts)
        alarms.settle(connection, Kind.CERTIFICATE, [certificate], Look(snapshot, night))
        assert telling.tell(connection, snapshot, night + 60) == 0
        assert telling.tell(connection, snapshot, night + 8 * 3600.0) == 1


async def test_a_system_that_is_killed_raises_an_alarm_and_its_contact_gets_a_mail(post: Post, keys: House) -> None:
    post.clock[0], box, began = NOON, Box(), NOON
    probing = probing_of(post)
    watching = Watching(
        engine=post.engine,
        lock=lock_of(post.engine),
        registry=post.registry,
        clock=lambda: post.clock[0],
        queue_seconds=600.0,
        late=LateData(lambda: post.clock[0]),
        mails=True,
    )

    async def minutes(number: int) -> None:
        for _ in range(number):
            post.clock[0] += MINUTE
            await probing.run_once(post.lease)
            await watching.run_once(post.lease)
            await mailing.run_once(post.lease)

    others = {"do-thi", "kinh-te", live.SIMULATION, *live.SIMULATED}  # nobody listens there in this test
    with mail_server(box) as server:
        mailing = Mailing(
            engine=post.engine, lock=lock_of(post.engine), registry=post.registry, server=server, name="LGSP",
            clock=lambda: post.clock[0],
        )  # fmt: skip
        await minutes(5)
        assert {each.system for each in opened(post.engine)} == others
        told = len(box.letters)
        port = post.provider.port
        await post.provider.stop()
        killed = post.clock[0]
        await minutes(4)
        (alarm,) = (each for each in opened(post.engine) if each.system == "truong-ha")
        assert alarm.since - killed <= MINUTE and (alarm.raised or 0) - killed <= 3 * MINUTE
        assert alarm.told is not None and alarm.told - killed <= 4 * MINUTE
        letter = box.letters[told]
        text = letter.get_content()
        assert "truong-ha" in text and "không kết nối được" in text and "takes no connections" in text
        await post.provider.start(keys, port)
        await minutes(20)
        assert {each.system for each in opened(post.engine)} == others
        assert (
            "truong-ha" in box.letters[-1].get_content() and "takes connections again" in box.letters[-1].get_content()
        )
    states = [(each["provider"], each["state"]) for each in noted(post.engine) if each["provider"] not in others]
    assert states == [("truong-ha", each) for each in ("raised", "told", "over", "told-over")]
    assert not logged(post.engine) and post.clock[0] - began < DAY


async def test_messages_that_wait_raise_one_alarm_of_their_system(post: Post) -> None:
    post.clock[0] = NOON
    for _ in range(3):
        await post.put_aside()
        post.clock[0] += MINUTE
    with post.engine.connect() as connection:
        assert not conditions.queues(connection, 600.0, NOON + 599, ())
        assert not conditions.queues(connection, 600.0, NOON + 601, {"truong-ha"})
        found = conditions.queues(connection, 600.0, NOON + 601, ())
    assert found == [Condition("truong-ha", "", NOON, {"waiting": 3})]


async def test_a_certificate_near_its_end_raises_an_alarm_until_another_follows(post: Post) -> None:
    snapshot = post.registry.snapshot
    keys = {each.key_id: each for each in snapshot.keys.values() if each.system == "truong-ha"}
    ends = min(each.valid_until for each in keys.values())
    assert not [*conditions.certificates(snapshot, ends - conditions.SOON - DAY)]
    found = {each.about for each in conditions.certificates(snapshot, ends - DAY)}
    assert found and found <= keys.keys()
