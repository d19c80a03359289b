"""How long the supervisor waits before it starts a process again that died."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.processes.supervised import Child
from gateway.processes.supervisor import Supervisor
from gateway.settings import Settings


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as made:
        yield made
        made.kill()


@pytest.mark.parametrize(("ready", "age", "pause"), [(True, 6.0, "0.2 s"), (True, 1.0, "15 s"), (False, 60.0, "15 s")])
def test_one_that_worked_is_there_again_soon(
    tmp_path: Path, process: subprocess.Popen[bytes], ready: bool, age: float, pause: str
) -> None:
    """Killed again and again, the only door of a machine was away for 15 seconds, and its callers heard nothing. One
    that dies as it starts, or does not become ready, still waits longer each time."""
    said: list[str] = []
    child = Child("door", [], lambda: None, process=cast(Any, process), deaths=3, ready=ready)
    child.started = time.monotonic() - age
    supervisor = Supervisor(Settings(tmp_path), told=said.append)
    supervisor._children.append(child)
    supervisor._tend()
    process.kill()
    process.wait()
    supervisor._tend()
    assert said and said[-1].endswith(f"starting it again in {pause}"), said
