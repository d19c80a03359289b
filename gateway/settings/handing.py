"""Hands the settings of an instance to a process that it starts, as JSON over a pipe.

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
    ours, theirs = os.pipe()  # 64 KiB fit into it unread; the settings are 10
    with os.fdopen(theirs, "w", encoding="utf-8") as out:
        json.dump(asdict(settings), out, default=str)
    return ours


def taken(descriptor: int) -> Settings:
    with os.fdopen(descriptor, encoding="utf-8") as handed_over:
        values = json.load(handed_over)
    return Settings(**{**values, "data": Path(values["data"])})
