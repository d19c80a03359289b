"""Hands the settings of an instance to a process that it starts, as JSON in memory.

The library that reads them takes 8 MiB and a tenth of a second: the supervisor has it loaded, its children need it not.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from gateway.settings import Settings


def handed(settings: Settings) -> int:
    """A descriptor from which `taken` reads the settings. The caller closes it."""
    # Of any size, as lists of networks may be long: a pipe that nobody reads yet would hold 64 KiB, and then wait.
    memory = os.memfd_create("settings")
    with os.fdopen(os.dup(memory), "w", encoding="utf-8") as out:
        json.dump(asdict(settings), out, default=str)
    os.lseek(memory, 0, os.SEEK_SET)
    return memory


def taken(descriptor: int) -> Settings:
    with os.fdopen(descriptor, encoding="utf-8") as handed_over:
        values = json.load(handed_over)
    return Settings(**{**values, "data": Path(values["data"])})
