"""The bench's processes: pinned to a core if possible, started, awaited, and always ended."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keep this thread and its children on one core within the block, if the system allows it."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def two_cores() -> tuple[int | None, int | None]:
    """A core for the measured side and one for the measuring side. None where there are not two."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class NotUp(RuntimeError):
    """A process of the bench ended or did not listen in time; the text has its last output."""


# the machine's own authorities and proxies would override the bench's
_FOREIGN: Final = re.compile("CA_BUNDLE$|_PROXY$", re.IGNORECASE)


@contextlib.contextmanager
def running(
    module: str, arguments: Sequence[str], log: Path, *, fds: Sequence[int] = (), core: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process of this environment. At the end of the block it gets SIGTERM, and SIGKILL five seconds later."""
    with log.open("ab") as out:
        with pinned(core):  # children inherit it; this thread's own core would be inherited too
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=fds,
                env={name: value for name, value in os.environ.items() if not _FOREIGN.search(name)},
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def await_port(process: subprocess.Popen[bytes], port: int, log: Path, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.02)
    raise NotUp(f"{process.args!r} does not listen on port {port}:\n{last_lines(log)}")


def last_lines(log: Path, count: int = 15) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-count:])


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """Resident memory of a process in MiB, from /proc, else 0.0. `VmHWM` is its maximum so far."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def cpu_seconds(*pids: int) -> float:
    """Processor time (user and system) of the processes so far; 0.0 where the system does not tell."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += time.clock_gettime(_clock_of(pid))
    return total


def _clock_of(pid: int) -> int:
    """The clock of another process's processor time, as clock_getcpuclockid(3) makes it on Linux; in nanoseconds."""
    return (~pid << 3) | 2
