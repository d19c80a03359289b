"""The worker killed with signal 9 at each of its steps in turn; whoever comes next brings every file to its end, and
nothing happens twice."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.writer import Journal
from tests.doors.files.dropping import BAD, CSV, Place, dropped, fresh
from tests.doors.files.test_files_take import line_by_line
from tests.size import FULL

# Its good line is a later value than the same line of CSV: not a repeat, but a correction.
LATER = BAD.replace(b"20/11/2026 16:00", b"21/11/2026 16:00")


def run_killed_at(place: Place, step: int) -> bool:
    """A look in a process of its own that kills itself at its step of that number; False if it came to the end
    before."""
    pid = os.fork()
    if pid == 0:
        try:
            with pytest.MonkeyPatch.context() as patch:
                _kill_at(patch, step)
                place.look()
            os._exit(0)
        except BaseException:
            os._exit(3)
    _, status = os.waitpid(pid, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "it failed by itself"
    return os.WIFSIGNALED(status)


def _kill_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Steps are what others can see: each rename and sync of a file, and each commit; killed before it, and after
    it."""
    left = [step]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            for done in (False, True):
                if done:
                    result = real(*args, **options)
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    patch.setattr(os, "rename", counted(os.rename))
    patch.setattr(Path, "rename", counted(Path.rename))
    patch.setattr(os, "fsync", counted(os.fsync))
    patch.setattr(Journal, "_transaction", counted(Journal._transaction))


def taken_anew(place: Place) -> None:
    """What must hold of three files after the next process: one good, one in part, one refused."""
    place.look()
    place.look()
    reports = {each["file"]: each for each in place.reports()}
    results = {name: each["result"] for name, each in reports.items()}
    assert results == {"tot.csv": "accepted", "mot-phan.csv": "partly-accepted", "hong.csv": "refused"}
    assert [each for each in place.where() if each != "accepted"] == ["refused"] and len(place.reports()) == 3
    assert reports["tot.csv"]["lines"] == {"taken": 3, "refused": 0} and reports["mot-phan.csv"]["lines"] == {
        "taken": 1,
        "refused": 2,
    }
    assert all(each.get("receipt") or each.get("transfers") for each in reports.values())
    values = Counter(str(value) for message in place.fed() for value in message.get("values", [message]))
    assert len(values) == sum(values.values()) == 4, "three lines of one file, one of the other, which corrects it"
    phases = Counter(place.rows("select transfer, phase from log_pending"))
    assert max(phases.values()) == 1
    counts = Counter(phase for _, phase in phases)
    assert (
        counts["refusal"] == 1 and counts["intent"] == counts["outcome"] == len(place.fed()) and "repeat" not in counts
    )


@pytest.mark.sampled("lines")
@pytest.mark.parametrize("kind", ["whole", "lines"])
def test_killed_at_each_step(tmp_path: Path, kind: str) -> None:
    base = fresh(tmp_path / "base") if kind == "whole" else line_by_line(tmp_path / "base", partial=True)
    dropped(base, tot_csv=CSV, hong_csv=b"a;b\n1;2\n", **{"mot-phan_csv": LATER})
    # Before a step and after the one ahead of it, the same is to be seen, but for what is not synced yet: by default
    # before each where files are taken whole, after each where they are taken line by line.
    step, apart = (0, 1) if FULL else (-1, 2) if kind == "whole" else (0, 2)
    while True:
        step += apart
        data = tmp_path / str(step)
        shutil.copytree(base.data, data)
        place = Place(data, looks=10)
        killed = run_killed_at(place, step)
        place.looks = 20
        taken_anew(place)
        shutil.rmtree(data)
        if not killed:
            break
    assert step > 60, "the steps were counted"
