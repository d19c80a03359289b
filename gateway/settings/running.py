"""Tells whether an instance runs on this machine: `lgsp up` holds a lock on the folder `run` until it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PID: Final = "supervisor.pid"  # in the folder `run`


def is_running(data: Path) -> bool:
    """Whether an `up` of the data folder `data` runs. False if the folder cannot be opened."""
    try:
        folder = os.open(data / "run", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(folder)
    return False


@contextmanager
def standing_still(data: Path) -> Iterator[bool]:
    """Keeps `up` from starting meanwhile. False where one runs."""
    (data / "run").mkdir(mode=0o700, exist_ok=True)
    folder = os.open(data / "run", os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(folder)
