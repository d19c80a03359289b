"""Older releases and this one, by real processes of each: two machines on one PostgreSQL are upgraded from 0.2.0 one
after the other, and back; an instance of 0.1.0 is taken over by its folder, and by a backup that 0.1.0 made."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench.demo import demo_settings, world_of
from gateway.settings import Settings
from gateway.settings.saving import save
from tests.faults.cluster.test_cluster import second, verifies
from tests.faults.load import Load, all_in_feed, child, until
from tests.journal.databases import fresh_url
from tests.upgrade.programs import ROOT, Machine, command, program, programs

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("programs")]
__all__ = ["programs"]


def made(settings: Settings) -> Settings:
    """A folder with settings alone: the program that starts there first makes the instance."""
    settings.data.mkdir(mode=0o700)
    save(settings)
    return settings


def acknowledged_once(settings: Settings, acknowledged: dict[str, str]) -> None:
    found = all_in_feed(world_of(settings), acknowledged)
    assert {found[each] for each in acknowledged} == {1}


def starts(machine: Machine, code: Path) -> None:
    said = machine.start(code)
    assert said["ok"], said


def waits(*loads: Load) -> None:
    for load in loads:
        load.wait(5)


def test_two_machines_are_upgraded_one_after_the_other_and_back(tmp_path: Path) -> None:
    old, new = program("0.2.0"), ROOT
    first = made(replace(demo_settings(tmp_path / "first"), database=fresh_url("postgresql", tmp_path), doors=1))
    with Machine(first) as one:
        starts(one, old)
        other = second(first, tmp_path / "second")
        with Machine(other) as two, Load(first, connections=2) as here, Load(other, connections=2) as there:
            starts(two, old)
            waits(here, there)
            two.stop()
            starts(two, new)  # migrates, while the first machine works
            waits(here, there)
            assert one.process is not None
            for kind in ("door", "keeper"):  # started again on the newer schema
                os.kill(child(one.process.pid, kind), signal.SIGKILL)
            waits(here, there)
            findings = {each["code"] for each in command(new, "doctor", "--data", str(other.data))["findings"]}
            assert "processes.mixed" in findings and not findings & {"database.newer", "database.altered"}
            one.stop()
            starts(one, new)
            waits(here, there)
            acknowledged = here.acknowledged | there.acknowledged
            two.stop()
            until("the log verifies", lambda: verifies(first, world_of(first)))
            back = ("schema", "back", "0.2.0", "--data", str(other.data), "--reason", "it was tried in the morning")
            assert command(new, *back)["error"]["code"] == "journal.newer-runs"
            waits(here)
            one.stop()
            assert two.start(old)["error"]["code"] == "journal.schema"
            assert command(new, *back)["to"] == "0045"
            starts(two, old)
            starts(one, old)
            waits(here, there)
        acknowledged |= here.acknowledged | there.acknowledged
        acknowledged_once(first, acknowledged)
        vkey = str(first.identities / "bao-chay" / "log.vkey")
        until(
            "the log verifies by the older program",
            lambda: command(old, "audit", "verify", "--data", str(first.data), "--vkey", vkey)["ok"],
        )
        assert not here.others + there.others, "callers were refused"
        print(f"{len(acknowledged)} acknowledged, unanswered {len(here.unanswered)} and {len(there.unanswered)}")


def test_an_instance_of_the_first_release_is_taken_over(tmp_path: Path) -> None:
    old, new = program("0.1.0"), ROOT
    settings = made(replace(demo_settings(tmp_path / "data"), doors=1))
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    with Machine(settings) as machine:
        starts(machine, old)
        with Load(settings, connections=1) as load:
            load.wait(5)
        taken = command(old, "backup", "make", str(backup), "--data", str(settings.data), "--plain-keys")
        assert taken["ok"], taken
        machine.stop()
        began = time.monotonic()
        starts(machine, new)
        print(f"upgraded and ready after {time.monotonic() - began:.1f} s")
        with Load(settings, connections=1) as more:
            more.wait(5)
        acknowledged_once(settings, load.acknowledged | more.acknowledged)
        until("the log verifies", lambda: verifies(settings, world_of(settings)))
    back = command(new, "restore", "from", str(backup), "--data", str(restored), "--complete")
    assert back["ok"] and back["held"] == back["before"], back
    verified = command(new, "audit", "verify", "--data", str(restored), "--vkey", str(restored / "log" / "log.vkey"))
    assert verified["ok"], verified
