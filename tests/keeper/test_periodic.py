"""The periodic tasks: found in their package, made from the keeper's services, run at their interval by the leader."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from gateway.journal import processes, room
from gateway.journal.errors import JOURNAL_UNAVAILABLE
from gateway.keeper import again, periodic, tasks
from gateway.keeper.leader import Keeper
from gateway.keeper.periodic import KeeperServices, PeriodicTask, ScheduledTask, declared_tasks, schedule
from gateway.settings import Settings
from gateway.transfer.lease import Lease


class Idle:
    """A sequencer with nothing to do."""

    more = busy = False

    def run_once(self, lease: Lease) -> Idle:
        return self


@dataclass
class Job:
    results: list[Any] = field(default_factory=list)
    runs: int = 0

    async def run_once(self, lease: Lease) -> int:
        self.runs += 1
        result = self.results.pop(0) if self.results else 0
        if isinstance(result, Exception):
            raise result
        return int(result)


def services(**given: Any) -> KeeperServices:
    return KeeperServices(**{name: given.get(name) for name in KeeperServices.__dataclass_fields__})  # type: ignore[arg-type]


def test_each_module_of_the_package_declares_one_task() -> None:
    folder = Path(periodic.__file__).parent / "tasks"
    assert set(declared_tasks()) == {path.stem for path in folder.glob("*.py")} - {"__init__"}


def test_a_module_without_a_task_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no_task.py").write_text("TASK = 'words'\n")
    monkeypatch.setattr(tasks, "__path__", [str(tmp_path)])
    with pytest.raises(TypeError, match="no_task declares no TASK"):
        declared_tasks()


def test_the_settings_say_which_tasks_there_are_and_how_often_they_run(tmp_path: Path) -> None:
    job = Job()
    declared = {
        "one": PeriodicTask("one failed", lambda _: job),
        "none": PeriodicTask("none failed", lambda _: None),
        "paced": PeriodicTask("paced failed", lambda _: job, lambda settings: settings.retention_seconds / 2),
    }
    settings = Settings(tmp_path)
    assert schedule(declared, services(settings=settings)) == [
        ScheduledTask("one", "one failed", periodic.PAUSE_SECONDS, job),
        ScheduledTask("paced", "paced failed", settings.retention_seconds / 2, job),
    ]


def test_a_task_runs_at_its_interval_at_once_after_work_and_again_after_a_failure(
    database: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    processes.register(database, "keeper-a", "keeper")
    rare, busy, failing = Job([0]), Job([1] * 50), Job([ValueError("broken"), 0])
    tasks = [
        ScheduledTask("rare", "the rare one failed", 3600.0, rare),
        ScheduledTask("busy", "the busy one failed", 3600.0, busy),
        ScheduledTask("failing", "the failing one failed", 0.01, failing),
    ]
    sequencer: Any = Idle()
    keeper = Keeper(database, "keeper-a", sequencer, tasks)

    async def work() -> None:
        running = asyncio.create_task(keeper.run())
        async with asyncio.timeout(60):
            while busy.runs < 51 or failing.runs < 3 or not rare.runs:
                await asyncio.sleep(0.02)
        keeper.stop()
        await running

    asyncio.run(work())
    assert rare.runs == 1 and busy.runs == 51
    assert [each.getMessage() for each in caplog.records if "failed" in each.getMessage()] == [
        "the failing one failed: broken"
    ]


@pytest.mark.full
def test_what_could_not_be_noted_is_not_done_again_before_something_can_be_written(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail that was sent, a call that was made: each would be again, as long as the disk is full."""
    processes.register(database, "keeper-a", "keeper")
    sending, looks = Job([JOURNAL_UNAVAILABLE(reason="the disk is full"), 0]), 0

    def no_room(*given: Any) -> None:
        nonlocal looks
        looks += 1
        assert sending.runs == 1, "it ran although nothing can be written"
        if looks < 4:
            raise sqlite3.OperationalError("fallocate") from OSError(errno.ENOSPC, "no room")
        room.check_room(*given)

    monkeypatch.setattr(again, "check_room", no_room)
    sequencer: Any = Idle()
    keeper = Keeper(database, "keeper-a", sequencer, [ScheduledTask("sending", "nothing is sent", 0.01, sending)])

    async def work() -> None:
        running = asyncio.create_task(keeper.run())
        async with asyncio.timeout(60):
            while sending.runs < 3:
                await asyncio.sleep(0.02)
        keeper.stop()
        await running

    asyncio.run(work())
    assert looks == 4
