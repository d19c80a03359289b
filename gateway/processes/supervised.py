"""A child process as the supervisor keeps it, and what is told where none could be started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from contracts.base.errors import Language, Words
from gateway.processes.forkserver import Process

_MEND: Final = Words(
    "Khắc phục rồi khởi động lại; `lgsp doctor` chỉ ra chỗ yếu.",
    "Mend that and start again; `lgsp doctor` tells what is weak.",
)


class NotStarted(RuntimeError):
    """The instance could not be started: why, and what to do, as a command tells a failure."""

    code: Final = "not-started"
    findings: Final = ()

    def __init__(self, why: Words, then: Words = _MEND) -> None:
        super().__init__(why.en)
        self._what: Final = Words(f"không khởi động được: {why.vi}", f"it could not be started: {why.en}")
        self._then: Final = then

    def what(self, language: Language) -> str:
        return self._what.of(language)

    def next(self, language: Language) -> str:
        return self._then.of(language)


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
