"""Following a log: growth is proved and told once; a fork, a step back or another key is objected to, again and
again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from gateway.audit.log.logkey import LogKey
from gateway.audit.verify.sources import NotYet
from gateway.audit.verify.watch import DatabaseLog, Step, look
from gateway.cli.audit.remote import remote_failures
from gateway.cli.audit.watch import Pace, _follow
from gateway.client import LogObjection
from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.journal.database import writing
from gateway.journal.schema import tables
from security.transparency.checkpoint import NoteKey


def watch(log: Any, state: Path) -> tuple[Step | None, list[int]]:
    """One look, as a new process takes it: with what lies in the folder and nothing else."""
    with log.engine.connect() as connection:
        of = DatabaseLog(connection)
        step = look(of, CheckpointMonitor(NoteKey.from_text(log.key.vkey), state, time.time))
        if step is None or step.before is None:
            return step, []
        return step, [index for index, _entry in of.entries(step.before, step.size)]


@pytest.fixture
def followed(log: Any, tmp_path: Path) -> tuple[Any, Path]:
    log.sequencer().run_once(log.lease)
    log.pend(*[f"t{at}" for at in range(10)])
    log.sequencer().run_once(log.lease)
    state = tmp_path / "state"
    step, listed = watch(log, state)
    assert step is not None and (step.before, step.size, listed) == (None, 10, [])
    return log, state


def test_growth_is_proved_and_told_once(followed: tuple[Any, Path]) -> None:
    log, state = followed
    assert watch(log, state) == (None, [])
    log.pend(*[f"u{at}" for at in range(5)])
    log.sequencer().run_once(log.lease)
    step, listed = watch(log, state)
    assert step is not None and (step.before, step.size, step.pending) == (10, 15, 0) and listed == [10, 11, 12, 13, 14]
    assert log.key.verify(next(state.glob("*.checkpoint")).read_text()) == (15, step.root)
    assert watch(log, state) == (None, [])


def objected(log: Any, state: Path) -> list[str]:
    """At two looks: an objection does not wear off."""
    codes = []
    for _ in range(2):
        with pytest.raises(LogObjection) as caught:
            watch(log, state)
        codes.append(caught.value.code)
    assert list(state.glob("*.objection-*"))
    return codes


def test_a_step_back(followed: tuple[Any, Path]) -> None:
    log, state = followed
    with writing(log.engine) as connection:
        connection.execute(delete(tables.checkpoint))
        connection.execute(
            tables.checkpoint.insert().values(size=4, root=b"\0" * 32, note=log.key.sign(4, b"\0" * 32), signed=0.0)
        )
    assert objected(log, state) == ["client.log-rolled-back"] * 2


def test_a_fork(followed: tuple[Any, Path]) -> None:
    log, state = followed
    (kept,) = state.glob("*.checkpoint")
    kept.write_text(log.key.sign(7, b"\x05" * 32))  # what another reader was shown
    assert objected(log, state) == ["client.log-forked"] * 2


def test_another_key(followed: tuple[Any, Path], tmp_path: Path) -> None:
    log, state = followed
    other = LogKey.open(tmp_path / "other.key", log.key.origin)
    with writing(log.engine) as connection:
        connection.execute(
            tables.checkpoint.insert().values(size=11, root=b"\0" * 32, note=other.sign(11, b"\0" * 32), signed=0.0)
        )
    assert objected(log, state) == ["client.log-key"] * 2


class Away:
    """A log that signed nothing so far, until somebody presses Ctrl-C."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def newest(self) -> str:
        self.looks -= 1
        if self.looks < 0:
            raise KeyboardInterrupt
        raise NotYet("the log has no checkpoint yet")

    def see(self, witness: CheckpointMonitor, note: str) -> None:
        raise AssertionError("there is nothing to see")

    def entries(self, start: int, stop: int) -> Any:
        yield from ()


def test_what_passes_is_told_once_and_ctrl_c_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = LogKey.open(tmp_path / "log.key", "localhost/lgsp-test")
    for once, code, lines in ((False, 0, ["unreachable", True]), (True, 3, [False])):
        with pytest.raises(SystemExit) as ended, remote_failures(True):
            _follow(Away(4), NoteKey.from_text(key.vkey), tmp_path / "state", Pace(once=once, every=0.0), True)
        said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert ended.value.code == code and [each.get("event", each.get("ok")) for each in said] == lines, said
