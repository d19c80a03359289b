"""A child process as the supervisor keeps it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Child:
    """`arguments` follow `python -m gateway`; `sockets` are the descriptors that it inherits."""

    name: str
    arguments: list[str]
    sockets: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    again_at: float = 0.0
    ready: bool = False
    ready_pipe: int = -1
    ending: bool = False  # it was told to end, and is not started again
    alone: bool = False  # its successor starts only when it has ended
