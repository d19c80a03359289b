"""`lgsp machine alone`: a person lets an instance go on without a standby, and all its machines obey; it ends by the
person, or by itself when a standby confirms again. Each step is in the log, and the doctor says so."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError

from contracts.base.errors import Ours
from gateway.doctor import examined
from gateway.doctor.standby import standby
from gateway.journal import alone
from gateway.journal.database import open_engine, snapshot, writing
from gateway.journal.limits import for_calls, for_work, presence_of
from gateway.journal.schema import tables
from gateway.journal.write import Verdict
from gateway.journal.writer import Journal
from gateway.keeper.tasks.standby import StandbyBack
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings
from gateway.transfer.lease import take
from tests.commandline import lgsp
from tests.journal.databases import committed, submission
from tests.journal.pairs import Pair, paired

pytestmark = pytest.mark.server
WHY = "máy chủ dự phòng đang được thay đĩa"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with paired() as made:
        yield made


@pytest.fixture
def settings(pair: Pair, tmp_path: Path) -> Settings:
    pair.fresh_url()
    made = Settings(tmp_path / "data", database=pair.url(), standby="required", database_seconds=1.3)
    make_instance(made, {}, time.time(), province=False)
    return made


def refused(journal: Journal) -> bool:
    try:
        committed(journal, submission(journal.process_id))
    except Ours as failure:
        return failure.code == "journal.no-standby"
    return False


def until(what: str, done: object) -> None:
    end = time.monotonic() + 60.0
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, what
        time.sleep(0.05)


def found(settings: Settings) -> list[str]:
    engine = open_engine(settings.database_url)
    with snapshot(engine) as connection:
        codes = [each.kind.code for each in standby(settings, connection)]
    engine.dispose()
    return codes


def noted(pair: Pair) -> list[str]:
    rows = pair.rows("SELECT entry FROM log_pending ORDER BY id")
    kinds = [json.loads(bytes(row[0])).get("what") for row in rows]
    return [kind for kind in kinds if kind in ("alone", "alone-ended", "break-glass")]


def test_where_only_a_standby_answers_it_is_told_what_to_do(pair: Pair, settings: Settings) -> None:
    pair.primary.stop()
    (finding,) = [each for each in examined(settings, time.time)[0] if each.kind.code.startswith("database.")]
    assert finding.kind.code == "database.only-standby" and "promote the standby" in finding.words("en")["next"]
    listed = lgsp("machine", "list", "--data", str(settings.data), "--json")
    assert listed.code == 3 and "promote the standby" in listed.out and "nâng bản dự phòng" in listed.out, listed
    pair.primary.start()
    until("it takes writes", lambda: not pair.primary.is_standby())


def test_a_person_decides_and_a_standby_ends_it(pair: Pair, settings: Settings) -> None:
    def decide(*more: str) -> tuple[int, str]:
        ended = lgsp("machine", "alone", "--data", str(settings.data), "--json", *more)
        return ended.code, ended.out + ended.err

    engines = [open_engine(settings.database_url, for_calls(1.3)) for _ in range(2)]
    journals = [Journal(engine, None, f"door-{number}") for number, engine in enumerate(engines)]
    for journal in journals:
        journal.start()
    code, said = decide("--reason", WHY)
    assert code and "has-standby" in said, said
    assert found(settings) == []

    pair.standby.freeze()  # so that commits wait for it, with their locks
    for journal in journals:
        until("refused", lambda journal=journal: refused(journal))
    pair.standby.kill()
    until("found", lambda: found(settings) == ["standby.missing"])
    code, said = decide("--reason", WHY)
    assert code == 0, said
    for journal, engine in zip(journals, engines, strict=True):
        until("it goes on", lambda journal=journal: journal.trouble is None)
        assert committed(journal, submission(journal.process_id)).verdict is Verdict.COMMITTED
        assert presence_of(engine).alone
        with writing(engine) as connection:
            connection.execute(insert(tables.instance).values(key=journal.process_id, value="1"))
    assert found(settings) == ["standby.alone"]

    code, said = decide("--end", "--reason", WHY)
    assert code == 0 and WHY in said, said
    for journal in journals:
        assert refused(journal), "from that moment on"
    code, said = decide("--break-glass", "không ai còn khóa ở đây", "--reason", WHY)
    assert code == 0, said
    until("it goes on", lambda: journals[0].trouble is None)
    with writing(engines[0]) as connection:
        lease = take(connection, "keeper-1", time.time())
    assert lease is not None
    back = StandbyBack(engines[0])
    assert not back.look(lease), "there is no standby yet"
    pair.standby.start()
    pair.wait_synchronous()
    until("a standby has caught up", lambda: back.look(lease))
    assert found(settings) == [] and not back.look(lease)
    with engines[0].connect() as connection:
        assert alone.standing(connection) is None
    assert committed(journals[0], submission("door-0")).verdict is Verdict.COMMITTED
    assert not presence_of(engines[0]).alone
    assert noted(pair) == ["alone", "alone-ended", "break-glass", "alone", "alone-ended"]
    for journal in journals:
        journal.stop()


def test_where_none_is_required_there_is_nothing_to_decide(settings: Settings) -> None:
    (settings.data / "settings.yaml").write_text(f"kind: sandbox\ndatabase: {settings.database}\n")
    ended = lgsp("machine", "alone", "--data", str(settings.data), "--json", "--reason", WHY)
    assert ended.code and "no-standby-required" in ended.out + ended.err
    assert found(replace(settings, standby="off")) == []
    for host in ("one", "two"):
        row = {"kind": "door", "pid": 1, "started": 1.0, "seen": 1.0, "state": "alive", "host": host, "id": host}
        with writing(open_engine(settings.database_url)) as connection:
            connection.execute(insert(tables.process).values(row))
    assert found(replace(settings, standby="off", kind="production")) == ["standby.off"]


@pytest.mark.full
def test_a_decision_waits_for_no_commit_about_an_earlier_one(pair: Pair, settings: Settings) -> None:
    """The standby died while its return ended the decision: that COMMIT waits, and has the row locked."""
    address = settings.database_url
    decision = alone.Alone(at=time.time(), by="H14.1/van-hanh", reason=WHY)
    with alone.writing_locally(address) as connection:
        alone.begin(connection, decision)
    engine = open_engine(address, for_work(2.0))

    def ends() -> None:
        with suppress(OperationalError), writing(engine) as connection:
            alone.end(connection)

    def decides() -> None:
        with alone.writing_locally(address) as connection:
            alone.begin(connection, decision)

    with pair.standby.frozen():
        for work in (ends, decides):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            if work is ends:
                until("it waits", lambda: pair.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))
        thread.join(60)
        assert not thread.is_alive(), "nobody can decide"
    with engine.connect() as connection:
        assert alone.standing(connection) == decision
    engine.dispose()
