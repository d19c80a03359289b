"""A child process as the supervisor keeps it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gateway.forkserver import Process


@dataclass(slots=True, eq=False)
class Child:
    """`arguments` follow `python -m gateway`; `module` is what it loads first; `sockets` are the descriptors that it inherits."""

    name: str
    arguments: list[str]
    module: str
    sockets: tuple[int, ...] = ()
    process: Process | None = None
    started: float = 0.0
    deaths: int = 0
    again_at: float = 0.0
    ready: bool = False
    ready_pipe: int = -1
    ending: bool = False  # it was told to end, and is not started again
    alone: bool = False  # its successor starts only when it has ended

    def close_pipe(self) -> None:
        if self.ready_pipe >= 0:
            os.close(self.ready_pipe)
            self.ready_pipe = -1
