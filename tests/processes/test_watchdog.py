"""A process whose loop is silent is ended with a trace; one whose loop runs is not, however long it lives."""

from __future__ import annotations

import subprocess
import sys

import pytest

SECONDS = 2.0
CHILD = """
import asyncio, time
from gateway.processes import child

def blocked():
    time.sleep(60)

async def main():
    watch = asyncio.create_task(child.watch_loop({seconds}, None))
    await asyncio.sleep({lives})
    {then}

asyncio.run(main())
"""


def ended(then: str, lives: float = 0.1, seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
    text = CHILD.format(seconds=seconds, lives=lives, then=then)
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.attack("a loop that hangs")
def test_a_silent_loop_is_ended_with_a_trace() -> None:
    process = ended("blocked()")
    assert process.returncode == 1 and process.stderr.startswith("Timeout") and "in blocked" in process.stderr


@pytest.mark.full
def test_a_loop_that_runs_is_not() -> None:
    process = ended("pass", lives=10.0, seconds=8.0)
    assert process.returncode == 0 and not process.stderr


@pytest.mark.full
def test_what_ends_in_order_is_not_watched_any_more() -> None:
    process = ended(f"watch.cancel(); await asyncio.sleep(0); time.sleep({4 * SECONDS})")
    assert process.returncode == 0 and not process.stderr


@pytest.mark.full
def test_it_can_be_switched_off() -> None:
    process = ended(f"time.sleep({4 * SECONDS})", seconds=0)
    assert process.returncode == 0 and not process.stderr


@pytest.mark.attack("a loop that hangs")
def test_a_crash_in_c_is_told_too() -> None:
    process = ended("import ctypes; ctypes.string_at(0)")
    assert process.returncode < 0 and "Segmentation fault" in process.stderr
