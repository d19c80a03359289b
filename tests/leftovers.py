"""What a run of tests started ends with it: also what a failed teardown, a killed worker or an interrupt left behind.

The run is a child of the process that was started. That one adopts those whose parent has ended
(`PR_SET_CHILD_SUBREAPER`, prctl(2)), so that all that the run started stays below it. It reaps them as init would: a
test that waits for the end of a process must not find its remains. Elsewhere than on Linux nothing is adopted or ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_SUBREAPER: Final = 36
_PATIENCE: Final = 10.0  # seconds between SIGTERM and SIGKILL


def guarded(run: Callable[[], int]) -> int:
    """Runs it in a child, ends what it leaves behind, and returns its exit code. Interrupts reach the child."""
    if sys.platform != "linux":
        return run()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        sys.exit(run())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: _tell(child, number))
    pid, status = 0, 0
    while pid != child:
        pid, status = os.waitpid(-1, 0)
    end()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _tell(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def below(chief: int) -> set[int]:
    """The processes that a process has started, and those that these have, by number."""
    parents: dict[int, list[int]] = {}
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((each / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(each.name))
    found: set[int] = set()
    waiting = [chief]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found.update(children)
        waiting += children
    return found


def end() -> list[str]:
    """Ends what is left below this process, and says what that was, a line each."""
    if sys.platform != "linux":
        return []
    left = {pid: _named(pid) for pid in below(os.getpid())}
    named = sorted(name for name in left.values() if name)
    if named:
        print(f"\nended {len(named)} processes that tests left behind:", *named[:10], sep="\n  ", file=sys.stderr)
    until = time.monotonic() + _PATIENCE
    number = signal.SIGTERM
    while children := below(os.getpid()):
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if time.monotonic() > until:
            number = signal.SIGKILL
        time.sleep(0.05)
    return named


def _named(pid: int) -> str:
    """The command of a process; nothing for one that has ended and waits for its parent."""
    with suppress(OSError):
        words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
        return b" ".join(words).decode("utf-8", "replace").strip()[:200]
    return ""
