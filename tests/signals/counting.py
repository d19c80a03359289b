"""Runs a process that counts, as a door does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = "import os, signal, sys; from pathlib import Path; from gateway.signals import meters, stored; "


def counted(run: Path, kind: str, statements: str, *, killed: bool = False) -> None:
    """`killed`: it ends by kill -9, with its files open."""
    end = "; os.kill(os.getpid(), signal.SIGKILL)" if killed else ""
    script = f"{_SCRIPT}meters.keep_in(Path(sys.argv[1]), '{kind}'); {statements}{end}"
    done = subprocess.run([sys.executable, "-c", script, str(run)], capture_output=True, text=True)
    assert done.returncode == (-9 if killed else 0), done.stderr


def begun(run: Path, kind: str) -> subprocess.Popen[str]:
    """One that holds its place until its input ends."""
    script = (
        f"{_SCRIPT}meters.keep_in(Path(sys.argv[1]), '{kind}'); meters.limit('cost'); "
        "print('counts', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(run)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "counts\n"
    return process
