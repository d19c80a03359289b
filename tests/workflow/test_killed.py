"""The keeper killed with signal 9 at each statement and commit of what it does with handlings: rows, entries of the log
and events of the feed agree after each death, and nothing stands twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.journal.schema import tables
from gateway.transfer.handling_events import phase_of
from gateway.workflow.watching import NOTE
from tests.registry.making import NOW
from tests.workflow.desks import Town
from tests.workflow.killed import sequencer_of

ROOT = Path(__file__).resolve().parents[2]
MOST = 200


class Keepers:
    """Makes a process for each piece of work, which is killed at a step of it."""

    def __init__(self, town: Town, folder: Path, process: subprocess.Popen[str]) -> None:
        url = town.gateway.engine.url.render_as_string(hide_password=False)
        self._job = {"url": url, "folder": str(folder), "lease": astuple(town.lease)}
        self._town, self._process = town, process

    def at_each_step(self, work: str, **more: Any) -> int:
        """Until it was done without a death; how many there were."""
        for number in range(1, MOST):
            job = {**self._job, "work": work, "number": number, "now": self._town.gateway.now, **more}
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(json.dumps(job) + "\n")
            ended = int(self._process.stdout.readline())
            assert ended in (0, -signal.SIGKILL)
            agree(self._town)
            if ended == 0:
                return number - 1
        raise AssertionError("no end")


@pytest.fixture
def keepers(town: Town, tmp_path: Path) -> Iterator[Keepers]:
    command = [sys.executable, "-m", "tests.workflow.killed"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        yield Keepers(town, tmp_path, process)


def agree(town: Town) -> None:
    """Each step has its row and its entry, each once; the row of the handling is that of its last step."""
    with town.gateway.engine.connect() as connection:
        table = tables.handling_step.c
        steps = Counter((row.handling, row.number) for row in connection.execute(select(table.handling, table.number)))
        entries: Counter[tuple[str, int]] = Counter()
        phases = [phase_of(number) for number in (1, 2)]
        for each in (tables.log_entry.c, tables.log_pending.c):
            for raw in connection.scalars(select(each.entry).where(each.phase.in_(phases))):
                entry = json.loads(bytes(raw))
                entries[entry["transfer"], entry["facts"]["number"]] += 1
    assert steps == entries and set(steps.values()) <= {1}
    assert Counter(id for id, _ in steps) == {row.id: row.version for row in town.handlings()}
    assert town.wrong() == ()


def test_nothing_is_lost_or_done_twice(town: Town, keepers: Keepers, tmp_path: Path) -> None:
    town.alert("a-1")
    town.report()
    town.sequence()
    assert keepers.at_each_step("open") > 2
    alert, report = sorted(town.handlings(), key=lambda each: each.contract, reverse=True)
    assert keepers.at_each_step("accept", handling=alert.id) > 2
    town.gateway.now = NOW + 50 * 60  # three quarters of the hour for its next step are used up
    assert keepers.at_each_step("watch") > 2
    assert keepers.at_each_step("sequence") > 2
    town.sequencer = sequencer_of(town.gateway.engine, tmp_path, town.gateway.now)
    events = Counter((each["subject"], each["data"]["step"]) for each in town.events())
    assert events == {(alert.id, "@open"): 1, (report.id, "@open"): 1, (alert.id, "accept"): 1}
    agree(town)
    with town.gateway.engine.connect() as connection:
        phases = connection.scalars(select(tables.log_entry.c.phase)).all()
        mails = connection.scalars(select(tables.mail.c.about)).all()
    assert sum(each.startswith(NOTE) for each in phases) == len(mails) == 1
