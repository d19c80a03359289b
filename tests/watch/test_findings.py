"""Findings of the gateway itself: raised after the hold-down, told once to all receivers, silenced, flapping, over."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from sqlalchemy import Engine, delete, select

from adapters.opening import Peers
from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.base.words import Words
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.tasks.findings import Findings
from gateway.notices import store
from gateway.notices.sending import Mailing
from gateway.push.operators import ANYWHERE, Posting
from gateway.push.posting import Limits, Poster
from gateway.registry.registry import Registry
from gateway.settings import Settings
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.watch import alarms, findings, operators
from gateway.watch.alarms import Kind, Look
from gateway.watch.findings import Condition, Standing, Taken
from security import webhooks
from security.webhooks import public_key
from tests.journal.databases import KINDS, migrated
from tests.notices.test_mails import Box, mail_server
from tests.push.receiving import receiving
from tests.registry.making import House, filled, province
from tests.watch.test_probes import NOON

HOLD = 100.0
DAY = 86_400.0
DISK = Condition("disk.low", "/data", False, Words("Đĩa sắp đầy", "The disk fills"), Words("Dọn", "Make room"))
KEYS = DISK._replace(code="files.modes", about="", grave=True)


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = migrated(request.param, tmp_path_factory.mktemp("findings"))
    filled(engine, province(), [], NOON)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def empty(engine: Engine) -> None:
    with writing(engine) as connection:
        for table in (tables.finding, tables.alarm, tables.mail, tables.log_pending):
            connection.execute(delete(table))


def seen(engine: Engine, at: float, *conditions: Condition, machine: str = "may-1:/data") -> None:
    with writing(engine) as connection:
        findings.settle(connection, machine, conditions, NOON + at, HOLD)


def told(engine: Engine, settings: Settings, at: float) -> int:
    with writing(engine) as connection:
        return operators.tell(connection, settings, NOON + at, DAY)


def standing(engine: Engine, *, ended: bool = False) -> list[Standing]:
    with engine.connect() as connection:
        return findings.standing(connection, ended=ended)


def states(engine: Engine) -> list[tuple[str, str]]:
    """Code and state of the entries, in order."""
    with engine.connect() as connection:
        rows = connection.execute(select(tables.log_pending).where(tables.log_pending.c.phase == findings.NOTE))
        facts = [json.loads(bytes(row.entry))["facts"] for row in sorted(rows, key=lambda row: row.id)]
    return [(each["subject"], each["state"]) for each in facts]


def leading(engine: Engine) -> tuple[Registry, Lease]:
    with writing(engine) as connection:
        lease = leases.take(connection, new_id(), NOON, over=leases.holder(connection))
    assert lease is not None
    return Registry(engine), lease


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        tmp_path,
        name="LGSP thử",
        mail_server="smtp+clear://127.0.0.1",
        alarm_mail="truc@tinh.example an-toan@tinh.example",
        alarm_url="https://soc.tinh.example/hook",
    )


def waiting(engine: Engine) -> list[store.Notice]:
    with engine.connect() as connection:
        return [
            *store.due(connection, NOON + 10 * DAY, 100),
            *store.due(connection, NOON + 10 * DAY, 100, webhooks=True),
        ]


def test_what_passes_within_the_hold_down_leaves_no_trace(engine: Engine, settings: Settings) -> None:
    seen(engine, 0, DISK)
    seen(engine, 60, DISK)
    seen(engine, 90)
    seen(engine, 190)
    assert standing(engine) == [] and states(engine) == []
    with engine.connect() as connection:
        assert connection.execute(select(tables.finding)).all() == []


def test_what_stands_is_told_once_with_all_that_stands_and_its_end_once(engine: Engine, settings: Settings) -> None:
    for at in (0, 50, 101):
        seen(engine, at, DISK, KEYS)
    assert [each.code for each in standing(engine)] == ["files.modes", "disk.low"], "grave ones first"
    assert told(engine, settings, 110) == 0, "it waits whether more is raised"
    assert told(engine, settings, 140) == 3
    first = waiting(engine)
    assert {each.facts["number"] for each in first} == {2} and len({each.id for each in first}) == 3
    assert "truc@" not in json.dumps([each._asdict() for each in first]), "addresses are in the settings alone"
    seen(engine, 150, DISK, KEYS)
    assert told(engine, settings, 300) == 0
    seen(engine, 310, KEYS)
    seen(engine, 400, KEYS)
    assert standing(engine, ended=True) == [], "it may come back"
    seen(engine, 411, KEYS)
    assert told(engine, settings, 450) == 3 and told(engine, settings, 900) == 0
    assert states(engine) == [
        ("disk.low", "raised"),
        ("files.modes", "raised"),
        ("files.modes", "told"),
        ("disk.low", "told"),
        ("disk.low", "over"),
        ("disk.low", "told-over"),
    ]


def test_what_still_stands_is_told_again_unless_somebody_acknowledged_it(engine: Engine, settings: Settings) -> None:
    for at in (0, 101):
        seen(engine, at, DISK, KEYS)
    assert told(engine, settings, 140) == 3
    one = next(each for each in standing(engine) if each.code == "disk.low")
    taken = Taken(NOON + 200, "H14.5/van-hanh: lgsp watch", "Đĩa mới đến ngày mai.")
    with writing(engine) as connection:
        findings.acknowledge(connection, one, taken)
        with pytest.raises(Failure) as refused:
            findings.acknowledge(connection, one, taken)
    assert refused.value.code == "alarm.acknowledged"
    assert told(engine, settings, 140 + DAY - 5) == 0
    assert told(engine, settings, 140 + DAY + 40) == 3
    assert [each.facts["number"] for each in waiting(engine)][-1] == 1 and states(engine)[-1] == (
        "files.modes",
        "told-again",
    )
    seen(engine, 200 + DAY)
    seen(engine, 301 + DAY)
    assert told(engine, settings, 400 + DAY) == 3, "that it is over is told"
    seen(engine, 500 + DAY, DISK)
    seen(engine, 601 + DAY, DISK)
    assert told(engine, settings, 700 + DAY) == 3, "what comes again is new, and nobody has acknowledged it"


def test_what_comes_and_goes_is_told_once_as_flapping(engine: Engine, settings: Settings) -> None:
    for at in range(0, 2000, 40):
        seen(engine, at, *((DISK,) if at % 80 else ()))
        told(engine, settings, at)
    assert [each for each in states(engine) if each[1].startswith("told")] == [("disk.low", "told-flapping")]
    assert standing(engine)[0].flapping and len(waiting(engine)) == 3


def test_each_machine_settles_its_own(engine: Engine, settings: Settings) -> None:
    for at in (0, 101):
        seen(engine, at, DISK)
        seen(engine, at, DISK, machine="may-2:/data")
    seen(engine, 150)
    seen(engine, 251)
    assert [each.machine for each in standing(engine)] == ["may-2:/data"]
    with writing(engine) as connection:
        findings.forget(connection, NOON + 101 + findings.SILENT + 1)
    assert standing(engine) == [], "of a machine that is silent for a day nothing is known any more"


def test_many_are_one_message_with_a_number_and_few_lines(engine: Engine, settings: Settings) -> None:
    many = [DISK._replace(about=f"/data/{number}") for number in range(300)]
    for at in (0, 101):
        seen(engine, at, *many)
    assert told(engine, settings, 140) == 3
    for each in waiting(engine):
        assert each.facts["number"] == findings.MOST
        assert len(json.loads(each.facts["events"])) == operators.LINES == each.facts["lines"]["vi"].count("\n") + 1


async def test_alarms_about_systems_are_told_to_operators_too(engine: Engine, settings: Settings) -> None:
    registry, lease = leading(engine)
    look = Look(registry.snapshot, NOON)
    down = alarms.Condition("do-thi", "", NOON - 500, {"reason": "refused"})
    with writing(engine) as connection:
        alarms.settle(connection, Kind.DOWN, [down], look)
    task = Findings(engine, lock_of(engine), settings, lambda: [KEYS], lambda: NOON + 50)
    await task.run_once(lease)
    (one,) = standing(engine)
    assert (one.code, one.about, one.machine) == ("alarm.down", "do-thi", "") and "do-thi" in one.said["vi"]["what"]
    with writing(engine) as connection:
        (alarm,) = alarms.raised(connection)
        alarms.acknowledge(connection, alarm, ("H14.5/truc: console", "Đang sửa đường truyền."), look)
    task = Findings(engine, lock_of(engine), settings, list, lambda: NOON + 90)
    await task.run_once(lease)
    assert standing(engine)[0].reason == "Đang sửa đường truyền." and told(engine, settings, 600) == 0


async def test_a_mail_to_each_operator_in_both_languages(engine: Engine, settings: Settings) -> None:
    registry, lease = leading(engine)
    for at in (0, 101):
        seen(engine, at, DISK, KEYS)
    assert told(engine, settings, 140) == 3
    box = Box()
    with mail_server(box) as server:
        mailing = Mailing(
            engine=engine,
            lock=lock_of(engine),
            registry=registry,
            server=server,
            name=settings.name,
            clock=lambda: NOON + 150,
            operators=operators.receivers(settings),
        )
        assert await mailing.run_once(lease) == 2 and await mailing.run_once(lease) == 0
    assert sorted(box.recipients) == ["an-toan@tinh.example", "truc@tinh.example"]
    subject, text = box.letters[0]["subject"], box.letters[0].get_content()
    assert "2 cảnh báo" in subject and "LGSP thử" in subject
    assert "Đĩa sắp đầy" in text and "The disk fills" in text and "may-1:/data" in text
    with engine.connect() as connection:
        pending = tables.log_pending.c
        assert len(connection.execute(select(pending.id).where(pending.phase == "notice")).all()) == 2


async def test_a_signed_webhook_is_tried_until_the_receiver_takes_it(
    engine: Engine, settings: Settings, keys: House, tmp_path: Path
) -> None:
    registry, lease = leading(engine)
    house = keys.identity("soc", time.time(), hosts=("localhost",))
    tls = ssl.create_default_context(cafile=str(keys.anchors))
    tls.load_verify_locations(cadata=keys.tls.pem.decode())
    async with receiving(house) as receiver:
        settings = replace(settings, alarm_mail="", alarm_url=receiver.url)
        for at in (0, 101):
            seen(engine, at, KEYS)
        assert told(engine, settings, 140) == 1
        (one,) = waiting(engine)
        answers = iter((503, 200))

        async def behave(request: web.Request, body: bytes) -> web.Response:
            receiver.keep({name.lower(): value for name, value in request.headers.items()}, body)
            return web.Response(status=next(answers))

        receiver.behave = behave
        poster = Poster(Peers(tls), ANYWHERE)
        clock = [NOON + 150]
        posting = Posting(
            engine=engine,
            lock=lock_of(engine),
            registry=registry,
            poster=poster,
            hash_id=lambda text: "0" * 64,
            urls=operators.receivers(settings),
            body=lambda notice: operators.body(settings, notice),
            clock=lambda: clock[0],
            limits=Limits(5.0, 15.0),
        )
        try:
            await posting.run_once(lease)
            (kept,) = found(engine, one.id)
            assert (kept.state, kept.tries, kept.failure) == ("waiting", 1, "push.not-taken")
            await posting.run_once(lease)
            assert len(receiver.deliveries) == 1, "not before its time"
            clock[0] = kept.next_at + 1
            await posting.run_once(lease)
        finally:
            await poster.close()
    assert found(engine, one.id)[0].state == "sent"
    (first, body), (second, again) = receiver.deliveries
    assert first["webhook-id"] == second["webhook-id"] == one.id and body == again
    (key,) = posting._keys(lease)
    webhooks.verify(first, body, [public_key(key.public)], clock[0])
    data = json.loads(body)["data"]
    assert data["number"] == 1 and data["instance"] == "LGSP thử" and data["test"] is False
    (event,) = data["findings"]
    assert (event["code"], event["state"], event["grave"]) == ("files.modes", "new", True)


def found(engine: Engine, id: str) -> list[store.Notice]:
    with engine.connect() as connection:
        return store.found(connection, [id])
