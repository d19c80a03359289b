"""The failover drill: what it counts as lost, twice and out of order; and on a running instance, with kill -9."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from bench.demo import demo_settings, running, start
from contracts.base.errors import Theirs
from contracts.base.ids import new_id
from gateway.cli.drill import _wait
from gateway.drills import ending, failover
from gateway.journal import drills, processes
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.settings import Settings
from gateway.settings.saving import save
from tests import commandline
from tests.backup.conftest import Instance
from tests.faults.load import until
from tests.journal.databases import fresh_url, frozen
from tests.machines.joining import joined

CONTRACT = "drill-message/v1"


def logged(one: Instance, transfer: str, offset: int | None) -> str:
    """A transfer in the feed, or one that is not."""
    with writing(one.engine) as connection:
        if offset is not None:
            row = {"contract": CONTRACT, "offset": offset, "transfer": transfer}
            connection.execute(insert(tables.feed_event).values(**row, event=new_id(), body_ref="-", sequenced=1.0))
    return transfer


def counted(one: Instance, sent: failover._Sent, monkeypatch: pytest.MonkeyPatch) -> tuple[int | None, ...]:
    monkeypatch.setattr(failover, "COUNTED", 0.2)
    wanted: Any = type("Wanted", (), {"contract": CONTRACT})
    return failover._counted(one.engine, wanted, sent, lambda _stage, _seconds: None, 1.0)


def test_what_was_acknowledged_is_looked_for_in_the_feed(one: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = failover._Sent()
    for key in range(2):
        for number in range(1, 6):
            sent.acknowledged[key, number] = {logged(one, new_id(), 10 * number + key)}
    assert counted(one, sent, monkeypatch) == (0, 0, 0)
    sent.acknowledged[0, 6] = {logged(one, new_id(), None)}
    assert counted(one, sent, monkeypatch) == (1, 0, 0), "acknowledged, and not in the feed"
    sent.acknowledged[0, 6] = {logged(one, new_id(), 90), logged(one, new_id(), 91)}
    assert counted(one, sent, monkeypatch) == (0, 1, 0), "one message, acknowledged as two transfers"
    sent.acknowledged[0, 6] = {logged(one, new_id(), 15)}
    assert counted(one, sent, monkeypatch) == (0, 0, 1), "before an earlier one of its sender"
    sent.acknowledged[0, 6] = set(sent.acknowledged[0, 5])
    assert counted(one, sent, monkeypatch)[0] == 1, "acknowledged as a repeat of an earlier message, and not stored"


def test_a_message_that_takes_no_number_is_refused_before_anything_is_sent(lite: Instance, tmp_path: Path) -> None:
    """Each call would be a repeat of the first message."""
    save(lite.settings)
    same = tmp_path / "same.json"
    same.write_text('{"identifier": "BC-1"}', "utf-8")
    traffic = ("--identity", str(tmp_path), "--path", "/incident-alert/v1/alerts", "--message", str(same))
    told = commandline.lgsp("drill", "failover", *traffic, "--data", str(lite.settings.data))
    assert told.code == 2 and f"{same} has no DRILL-ID" in told.err and "không có DRILL-ID" in told.err, told


def test_the_gap_is_the_longest_that_was_not_over_when_the_end_began() -> None:
    flow = [0.0, 5.0, 5.1, 5.2]  # a gap that was over before is none of this end
    assert failover._gap([*flow, 5.4, 5.5], 5.3, 5.55) == (0.2, 0.1)
    assert failover._gap([*flow, 9.2, 9.3], 7.2, 9.35) == (4.0, 2.0), "calls stood before the person pressed Enter"
    assert failover._gap([*flow, 5.4, 9.4, 9.5], 5.3, 9.55) == (4.0, 4.1), "some were acknowledged after the kill"
    assert failover._gap([*flow, 5.4], 5.3, 14.4) == (9.0, None), "a gap that is open counts up to the end"
    assert failover._gap(flow, 5.3, 14.2) == (9.0, None)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running(replace(demo_settings(tmp_path_factory.mktemp("failover") / "data"), live=False)) as settings:
        yield settings


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One whose callers are soon told that the database answers nothing."""
    folder = tmp_path_factory.mktemp("frozen")
    settings = replace(demo_settings(folder / "data"), database=fresh_url("postgresql", folder), live=False)
    with running(replace(settings, database_seconds=2.0)) as settings:
        yield settings


def lgsp(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words, "--data", str(settings.data), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.full
@pytest.mark.server
@pytest.mark.parametrize("end", ["keeper", "door"])
def test_a_process_is_killed_and_nothing_is_lost(instance: Settings, end: str) -> None:
    ran = lgsp(instance, "drill", "failover", "--end", end, "--yes", "--seconds", "3")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    assert told["ok"] and told["acknowledged"] >= failover.KEYS and len(told["ended"]) == 1
    assert (told["lost"], told["twice"], told["out_of_order"]) == (0, 0, 0)
    assert told["again_after"] is not None and (told["leads_after"] is not None) == (end == "keeper")
    engine = open_engine(instance.database_url)
    with engine.connect() as connection:
        last = drills.newest(connection, drills.FAILOVER)
    engine.dispose()
    assert last is not None and last.ok


@pytest.mark.server
def test_nothing_is_ended_without_a_confirmation(instance: Settings, tmp_path: Path) -> None:
    refused = lgsp(instance, "drill", "failover")
    assert refused.returncode == 2 and json.loads(refused.stdout)["error"]["code"] == "not-confirmed"
    wrong = tmp_path / "message.json"
    wrong.write_text('{"maCanhBao": "DRILL-ID"}', "utf-8")
    none = lgsp(instance, "drill", "failover", "--yes", "--seconds", "0.1", "--message", str(wrong))
    assert none.returncode == 1 and json.loads(none.stdout)["error"]["code"] == "drill.no-answer", none.stdout


def started(settings: Settings, *words: str) -> subprocess.Popen[str]:
    """For a person: what it waits for is on standard error."""
    command = [sys.executable, "-m", "gateway", "drill", "failover", *words, "--data", str(settings.data)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"it ended, and never said: {words}")


def enter(process: subprocess.Popen[str]) -> None:
    """The operator's failover begins, once the drill asks for it."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def end_of(drill: subprocess.Popen[str], settings: Settings) -> str:
    """What a drill that ended its machine says, once a person has started the machine again."""
    with (settings.data / "again.log").open("wb") as err:
        again = start(["up", "--json", "--data", str(settings.data)], err=err, environment=os.environ)
    try:
        out, rest = drill.communicate(timeout=180)
    finally:
        again.send_signal(signal.SIGTERM)
        again.wait(60)
    assert drill.returncode == 0, out + rest
    return out


def entries_of(settings: Settings) -> Sequence[float]:
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        last = drills.newest(connection, drills.FAILOVER)
    engine.dispose()
    return () if last is None else (last.at,)


@pytest.mark.full
@pytest.mark.server
def test_a_database_that_goes_away_after_enter_is_waited_for(on_postgresql: Settings) -> None:
    """Nothing is ended, so that nothing is to be confirmed; calls go on for a while after Enter, as in a failover."""
    with started(on_postgresql, "--end", "wait", "--seconds", "5") as process:
        read_until(process, "press Enter")
        enter(process)
        time.sleep(2.0)
        with frozen():
            assert "acknowledged again" in read_until(process, "waiting for")
            time.sleep(3.0)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert "lost / mất 0, twice / trùng 0" in out and "another keeper" not in out, out
    gap, again = (float(out.partition(f"{name} ")[2].partition(" s")[0]) for name in ("dài nhất", "nhận lại sau"))
    assert again > gap > 5.0, out
    assert entries_of(on_postgresql)


@pytest.mark.full
@pytest.mark.server
def test_a_person_ends_a_drill_and_gets_what_was_counted(on_postgresql: Settings) -> None:
    before = entries_of(on_postgresql)
    with started(on_postgresql, "--end", "wait", "--seconds", "0.5") as process:
        read_until(process, "press Enter")
        with frozen():  # before, or the calls might be over
            enter(process)
            read_until(process, "acknowledged again")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "lost / mất –" in out and "nhận lại sau –" in out and "interrupted" in out, out + err
    assert "the log has no entry of it" in out and entries_of(on_postgresql) == before


@pytest.mark.full
@pytest.mark.server
def test_a_machine_is_ended_and_a_person_starts_it_again(tmp_path: Path) -> None:
    settings = replace(demo_settings(tmp_path / "data"), live=False)
    with (
        running(settings),
        started(settings, "--end", "machine", "--yes", "--seconds", "1") as drill,
    ):
        read_until(drill, "start the machine again now")
        read_until(drill, "waiting for")
        out = end_of(drill, settings)
    assert "lost / mất 0" in out and "another keeper leads after / tiến trình khác dẫn sau –" not in out, out


def leads(settings: Settings) -> str:
    """The machine whose keeper leads, by its name."""
    engine, process = open_engine(settings.database_url), tables.process.c
    holds = select(process.machine).join(tables.lease, tables.lease.c.holder == process.id)
    with engine.connect() as connection:
        name = connection.scalar(holds.where(process.state == "alive", tables.lease.c.until > 0))
    engine.dispose()
    return str(name or "")


@pytest.mark.full
@pytest.mark.server
def test_the_keeper_of_another_machine_leads_when_this_machine_is_ended(tmp_path: Path) -> None:
    """On the machine that does not lead there is no leading keeper to end."""
    made = replace(demo_settings(tmp_path / "one"), database=fresh_url("postgresql", tmp_path), machine="one")
    made = replace(made, live=False, doors=1, database_seconds=10.0)  # of a machine that is busy with other tests
    with running(made) as first, running(joined(first, tmp_path, "two")) as second:
        until("a keeper leads", lambda: leads(first))
        here, there = (first, second) if leads(first) == "one" else (second, first)
        refused = lgsp(there, "drill", "failover", "--end", "keeper", "--yes", "--seconds", "1")
        assert refused.returncode == 1 and json.loads(refused.stdout)["error"]["code"] == "drill.elsewhere"
        with started(here, "--end", "machine", "--yes", "--seconds", "1") as drill:
            read_until(drill, "start the machine again now")
            until("the other one leads", lambda: leads(there) == there.machine)
            out = end_of(drill, here)
        assert "lost / mất 0, twice / trùng 0" in out and "dẫn sau –" not in out, out
        assert leads(there) == there.machine


@pytest.mark.server
def test_no_other_keeper_is_waited_for_if_the_leading_one_was_not_ended(instance: Settings) -> None:
    engine = open_engine(instance.database_url)
    assert not ending.chosen(engine, instance, "door").leader
    assert ending.chosen(engine, instance, "keeper").leader and ending.chosen(engine, instance, "machine").leader
    with writing(engine) as connection:  # another machine's
        connection.execute(update(tables.process).where(tables.process.c.kind == "keeper").values(host="other 0 0"))
    try:
        assert not ending.chosen(engine, instance, "machine").leader
    finally:
        with writing(engine) as connection:
            own = {"host": processes.host()}
            connection.execute(update(tables.process).where(tables.process.c.kind == "keeper").values(**own))
        engine.dispose()


@pytest.mark.server
def test_a_machine_without_the_sandboxs_identities_names_the_option(instance: Settings) -> None:
    kept = instance.identities / "bao-chay"
    kept.rename(kept.with_name("elsewhere"))
    try:
        refused = lgsp(instance, "drill", "failover", "--yes")
    finally:
        kept.with_name("elsewhere").rename(kept)
    error = json.loads(refused.stdout)["error"]
    assert refused.returncode == 2 and error["code"] == "no-identity" and "--identity" in error["next"]


@pytest.mark.server
def test_only_processes_of_the_instance_are_ended(instance: Settings) -> None:
    """A number in `supervisor.pid` and a row are not enough, and a number that is given again ends nobody."""
    file, stranger = instance.run / "supervisor.pid", subprocess.Popen(["sleep", "600"])
    kept, engine = file.read_text("ascii"), open_engine(instance.database_url)
    row = {"id": "door-stranger", "kind": "door", "pid": stranger.pid, "host": processes.host(), "state": "alive"}
    with writing(engine) as connection:
        connection.execute(insert(tables.process).values(**row, started=time.time(), seen=time.time()))
    try:
        held = ending.chosen(engine, instance, "door")
        assert stranger.pid not in held.pids
        held.close()
        for forged in (str(os.getpid()), "", "abc", "²", "-1", "9" * 30):
            file.write_text(forged, "utf-8")
            for what in ("door", "machine"):
                with pytest.raises(Theirs, match=r"drill\.elsewhere"):
                    ending.chosen(engine, instance, what)
    finally:
        file.write_text(kept, "ascii")
        with writing(engine) as connection:
            connection.execute(delete(tables.process).where(tables.process.c.id == row["id"]))
        engine.dispose()
    ended = ending.Ended([stranger.pid], False, [os.pidfd_open(stranger.pid)])
    stranger.kill()
    stranger.wait()
    assert ended.kill() == [], "it had ended before: nothing was ended by the drill"
    ended.close()


@pytest.mark.server
def test_a_second_drill_at_once_is_refused(instance: Settings) -> None:
    lock = ending.locked(instance)
    refused = lgsp(instance, "drill", "failover", "--end", "door", "--yes")
    assert json.loads(refused.stdout)["error"]["code"] == "drill.runs"
    os.close(lock)


@pytest.mark.server
@pytest.mark.parametrize("seconds", ["-5", "nan", "inf", "0"])
def test_a_time_that_is_none_is_refused_before_anything_is_sent(instance: Settings, seconds: str) -> None:
    refused = lgsp(instance, "drill", "failover", "--yes", f"--seconds={seconds}")
    assert refused.returncode == 2 and json.loads(refused.stdout)["error"]["code"] == "wrong-seconds"


def test_the_end_of_input_is_no_enter(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    _wait(True)
    with pytest.raises(SystemExit) as refused:
        _wait(True)
    assert refused.value.code == 2 and "not-begun" in capsys.readouterr().out
