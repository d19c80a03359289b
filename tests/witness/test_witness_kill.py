"""The witness as a process: its commands, and killed with signal 9 at any moment it has cosigned nothing that it
forgets."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.witness.state import Folder
from security.transparency.checkpoint import split_note
from security.transparency.cosignature import CosignerKey, answered
from tests.witness.process import started

pytestmark = pytest.mark.server


def lgsp(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "witness", *arguments, "--json"], capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) == found["ok"], done.stderr
    return {**found, "code": done.returncode}


def run(folder: Path) -> tuple[subprocess.Popen[str], str]:
    return started(folder, "127.0.0.1:0")


def ask(place: str, body: bytes) -> tuple[int, str]:
    connection = http.client.HTTPConnection(place, timeout=60)
    try:
        connection.request("POST", "/add-checkpoint", body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_killed_it_has_forgotten_nothing_that_it_cosigned(tmp_path: Path, log: Any) -> None:
    folder = tmp_path / "w"
    key = CosignerKey.from_text(lgsp("key", "--name", "w.example/x", "--data", str(folder))["vkey"])
    assert lgsp("add-log", log.vkey, "--data", str(folder))["origin"] == log.name
    process, place = run(folder)
    done: list[int] = [0]

    def go_on() -> None:
        while done[-1] < log.leaves - 1:
            try:
                status, said = ask(place, log.ask(done[-1], done[-1] + 1))
            except (OSError, http.client.HTTPException):
                return
            assert status == 200
            answered(split_note(log.note(done[-1] + 1))[0], said, key)
            done.append(done[-1] + 1)

    thread = threading.Thread(target=go_on)
    thread.start()
    until = time.monotonic() + 60
    while len(done) < 25:
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    thread.join(60)
    held = Folder(folder).read(log.name)
    assert held is not None and held.checkpoint is not None
    cosigned = held.checkpoint.size
    assert done[-1] <= cosigned <= done[-1] + 1, "what left was on disk"
    process, place = run(folder)
    try:
        assert ask(place, log.ask(0, 3)) == (409, f"{cosigned}\n"), "it refuses to go back"
        assert ask(place, log.fork().ask(cosigned, cosigned + 5))[0] == 422
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    found = lgsp("status", "--data", str(folder))
    assert found["code"] == 1 and len(found["objections"]) == 1, "what it holds against a log is said"
