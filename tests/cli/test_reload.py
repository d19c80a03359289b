"""`lgsp reload` and `keys rotate` wait for the supervisor as long as it may take, and say so."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli import keys
from gateway.processes import supervisor
from gateway.processes.supervisor import PID, RELOADED, reload_seconds
from gateway.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a supervisor that is this process, and does nothing by itself."""
    made = Settings(tmp_path)
    made.run.mkdir(parents=True)
    (made.run / PID).write_text(str(os.getpid()))
    monkeypatch.setattr(keys, "is_running", lambda _: True)
    monkeypatch.setattr(keys, "_TOLD_SECONDS", 0.3)
    return made


def test_a_person_is_told_that_it_takes_time(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    done = json.dumps({"count": 1, "trouble": ""})
    replaces = threading.Timer(1.0, (settings.run / RELOADED).write_text, (done,))
    try:
        replaces.start()
        keys._reload(settings, False)
    finally:
        replaces.join()
        signal.signal(signal.SIGHUP, before)
    assert "đang thay các tiến trình" in capsys.readouterr().err


def test_it_gives_up_after_the_longest_time_that_a_supervisor_takes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "reload_seconds", lambda _: 0.5)
    before, began = signal.signal(signal.SIGHUP, signal.SIG_IGN), time.monotonic()
    try:
        with pytest.raises(SystemExit):
            keys._reload(settings, True)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert time.monotonic() - began >= 0.5 and "not-reloaded" in capsys.readouterr().out
    one, three = (reload_seconds(replace(settings, doors=number)) for number in (1, 3))
    assert one >= 3 * settings.ready_seconds and three - one >= 2 * settings.ready_seconds, "each door is a wave"


CHANGED = {
    "metrics_port": 9464, "doors": 3, "roles": "door desk", "machine": "m2", "kind": "production", "live": False,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_what_only_a_start_reads_keeps_its_value_until_a_restart_and_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (settings.data / "settings.yaml").write_text(json.dumps({name: CHANGED[name], "name": "A"}))
    old = supervisor.Supervisor(settings)
    now = old._of_now()
    assert (getattr(now, name), now.name, old._kept) == (getattr(settings, name), "A", [name])
    monkeypatch.setattr(keys, "_reload", lambda *_: old._kept)
    monkeypatch.setattr(keys, "check_files", lambda *_: None)
    with pytest.raises(SystemExit) as end:
        keys.reload(settings.data)
    assert end.value.code == 1 and f"khởi động lại: {name}" in capsys.readouterr().out


def test_how_long_the_supervisor_waits_is_taken_up_by_a_reload(settings: Settings) -> None:
    old = supervisor.Supervisor(settings, told=lambda _: None)
    (settings.data / "settings.yaml").write_text("drain_seconds: 40\n")
    before = supervisor.patience(old.settings)
    old._of_now()  # as for each new process
    assert supervisor.patience(old.settings) == before, "the old processes have their old time"
    old._replace_all()
    assert supervisor.patience(old.settings) == before + 40 - settings.drain_seconds
