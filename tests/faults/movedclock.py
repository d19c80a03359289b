"""Moves the clock of processes that a test starts (`tests/faults/clock/sitecustomize.py`)."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


class MovedClock:
    """Processes that are started from now on have this clock. The test itself keeps its own."""

    def __init__(self, file: Path, patch: pytest.MonkeyPatch) -> None:
        self._file = file
        file.write_bytes(struct.pack("d", 0.0))
        folders = [str(FOLDER / "clock"), str(FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
        patch.setenv("TEST_CLOCK_FILE", str(file))

    def ahead(self, seconds: float) -> None:
        """The clock of all of them is so far ahead of the real one, from this moment on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("d", seconds))
