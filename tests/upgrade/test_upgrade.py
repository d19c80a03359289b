"""Older releases and this one, by real processes of each: two machines on one PostgreSQL are upgraded from 0.2.0 one
after the other, go back and come again; an instance of 0.1.0 is stopped and taken over by its folder. In full size also
one machine on SQLite, and a backup that 0.1.0 made."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from bench.demo import world_of
from examples.story.exchange import ALERTS, read_feed
from gateway.backup.schema_back import LATER_SETTINGS
from gateway.settings import Settings
from tests.faults.load import Load, all_in_feed, child, until
from tests.journal.databases import fresh_url
from tests.size import FULL
from tests.upgrade.programs import NEW, Machine, Program, first, older, program, second

pytestmark = [pytest.mark.full, pytest.mark.server, pytest.mark.usefixtures("older")]
__all__ = ["older"]

PAUSE = 0.3  # seconds between two calls of a connection: the processes that start are to have the cores
REASON = "it was tried in the morning"


def acknowledged_once(settings: Settings, *loads: Load) -> None:
    acknowledged = {id: transfer for load in loads for id, transfer in load.acknowledged.items()}
    found = all_in_feed(world_of(settings), acknowledged)
    assert {found[each] for each in acknowledged} == {1}


def verifies(settings: Settings, run: Program) -> None:
    """As that program verifies the log, with the key that callers were given."""
    words = ("audit", "verify", "--data", str(settings.data))
    vkey = str(settings.identities / "bao-chay" / "log.vkey")
    wrong: list[object] = []

    def agrees() -> bool:
        told = run.lgsp(*words, "--vkey", vkey)
        wrong[:] = told.get("wrong", [])[:3]
        return bool(told["ok"])

    try:
        until(f"the log verifies by {run.release}", agrees)
    finally:
        print(*wrong, sep="\n")


def waits(*loads: Load) -> None:
    for load in loads:
        load.wait(5)


def test_two_machines_are_upgraded_one_after_the_other_and_back(tmp_path: Path) -> None:
    old = program("0.2.0")
    one = Machine(first(tmp_path / "first", database=fresh_url("postgresql", tmp_path), live=False))
    with one:
        one.starts(old)
        two = Machine(second(one.settings, tmp_path / "second"))
        here, there = (Load(each.settings, connections=2, pause=PAUSE) for each in (one, two))
        with two:
            two.starts(old)  # it writes its own address into the callers' folders
            with here, there:
                waits(here, there)
                for _round in range(2 if FULL else 1):
                    forward(one, two, here, there, old)
                    back(one, two, here, there, old)
                two.stop()
                two.starts(NEW)
                waits(here, there)
            acknowledged_once(one.settings, here, there)
            verifies(one.settings, NEW)
            assert not here.others + there.others, "callers were refused"
            unanswered = f"unanswered {len(here.unanswered)} and {len(there.unanswered)}"
            print(f"{len(here.acknowledged)} and {len(there.acknowledged)} acknowledged, {unanswered}")


def test_the_settings_that_an_older_release_refuses_are_known() -> None:
    old = program("0.2.0")
    script = "import dataclasses as d, gateway.settings as s; print(*[each.name for each in d.fields(s.Settings)])"
    assert {*LATER_SETTINGS[old.release]} == {each.name for each in fields(Settings)} - {*old.says(script).split()}


def forward(one: Machine, two: Machine, here: Load, there: Load, old: Program) -> None:
    """The second machine migrates while the first works; what dies there starts again on the newer schema."""
    two.stop()
    waits(here)
    two.starts(NEW)
    waits(here, there)
    for kind in ("door", "keeper"):
        os.kill(child(one.pid, kind), signal.SIGKILL)
    waits(here, there)
    findings = {each["code"] for each in NEW.lgsp("doctor", "--data", str(two.settings.data))["findings"]}
    assert "processes.mixed" in findings and not findings & {"database.newer", "database.altered"}, findings
    one.stop()
    waits(there)
    one.starts(NEW)
    waits(here, there)
    acknowledged_once(one.settings, here, there)
    verifies(one.settings, NEW)


def back(one: Machine, two: Machine, here: Load, there: Load, old: Program) -> None:
    """Refused while a newer program runs, and the older one does not start before it."""
    two.stop()
    words = ("schema", "back", old.release, "--data", str(two.settings.data), "--reason", REASON)
    assert NEW.lgsp(*words)["error"]["code"] == "journal.newer-runs"
    waits(here)
    one.stop()
    assert two.start(old)["error"]["code"] == "journal.schema"
    done = NEW.lgsp(*words)
    assert done["ok"] and done["to"] == "0045", done
    two.starts(old)
    one.starts(old)
    waits(here, there)
    acknowledged_once(one.settings, here, there)
    verifies(one.settings, old)


def test_an_instance_of_the_first_release_is_stopped_and_taken_over(tmp_path: Path) -> None:
    old = program("0.1.0")
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    machine = Machine(first(tmp_path / "data"))
    settings = machine.settings
    with machine:
        machine.starts(old)
        with Load(settings, connections=1, pause=PAUSE) as load:
            load.wait(5)
        acknowledged_once(settings, load)
        taken = old.lgsp("backup", "make", str(backup), "--data", str(settings.data), "--plain-keys")
        assert taken["ok"], taken
        before = kept(settings)
        machine.stop()
        began = time.monotonic()
        machine.starts(NEW)
        print(f"upgraded and ready after {time.monotonic() - began:.1f} s")
        after = kept(settings)
        assert after["log"][: len(before["log"])] == before["log"]
        assert all(event.items() <= now.items() for event, now in zip(before["feed"], after["feed"], strict=True))
        with Load(settings, connections=1, pause=PAUSE) as more:
            more.wait(5)
        acknowledged_once(settings, load, more)
        verifies(settings, NEW)
    if FULL:
        done = NEW.lgsp("restore", "from", str(backup), "--data", str(restored), "--complete")
        assert done["ok"] and done["held"] >= len(load.acknowledged), done
        vkey = str(restored / "log" / "log.vkey")
        verified = NEW.lgsp("audit", "verify", "--data", str(restored), "--vkey", vkey)
        assert verified["ok"], verified


@pytest.mark.skipif(not FULL, reason="one machine goes the way of two, on SQLite: with LGSP_TEST_SIZE=full")
def test_one_machine_is_upgraded_and_goes_back_on_sqlite(tmp_path: Path) -> None:
    old = program("0.2.0")
    machine = Machine(first(tmp_path / "data", live=False))
    settings = machine.settings
    loads: list[Load] = []
    with machine:
        for run in (old, NEW, old, NEW):
            if run is old and loads:
                assert machine.start(old)["error"]["code"] == "journal.schema"
                words = ("schema", "back", old.release, "--data", str(settings.data), "--reason", REASON)
                assert NEW.lgsp(*words)["ok"]
            machine.starts(run)
            with Load(settings, connections=1, pause=PAUSE) as load:
                load.wait(5)
            loads.append(load)
            acknowledged_once(settings, *loads)
            verifies(settings, run)
            machine.stop()


@pytest.mark.skipif(not FULL, reason="the vault's keys lie in a second database: with LGSP_TEST_SIZE=full")
def test_keys_in_a_second_database_come_back_before_the_older_release(tmp_path: Path) -> None:
    """0.2.0 does not know that store: it would make other keys by the same names."""
    old, store = program("0.2.0"), fresh_url("postgresql", tmp_path)
    machine = Machine(first(tmp_path / "data", database=fresh_url("postgresql", tmp_path), live=False))
    settings, place = machine.settings, ("--data", str(machine.settings.data))
    back = ("schema", "back", old.release, *place, "--reason", REASON)
    loads: list[Load] = []

    def works(run: Program) -> None:
        machine.starts(run)
        with Load(settings, connections=1, pause=PAUSE) as load:
            load.wait(5)
        loads.append(load)
        acknowledged_once(settings, *loads)  # the feed opens all bodies
        verifies(settings, run)
        machine.stop()

    with machine:
        works(old)
        works(NEW)
        moved = NEW.lgsp("vault", "move", store, *place, "--destroy-old")
        assert moved["ok"] and moved["keys"], moved
        works(NEW)
        assert NEW.lgsp(*back)["error"]["code"] == "backup.vault-database"
        assert NEW.lgsp("vault", "move", "folder", *place)["ok"]
        done = NEW.lgsp(*back)
        assert done["ok"] and done["take_out"] == [], done
        works(old)
        works(NEW)


def kept(settings: Settings) -> dict[str, list[Any]]:
    """The entries of the log, as they are in the database, and the events of the feed, as a reader gets them."""
    engine = create_engine(settings.database_url)
    with engine.connect() as connection:
        entries = connection.execute(text("SELECT idx, transfer, phase, entry, leaf FROM log_entry ORDER BY idx")).all()
    engine.dispose()
    found: dict[str, list[Any]] = {"log": [*entries], "feed": read_feed(world_of(settings), ALERTS)}
    assert all(found.values())
    return found
