"""How far a long command has come, for a person at a terminal alone; what draws it is not loaded for anybody else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol


class Progress(Protocol):
    def add_task(self, description: str, total: float | None = None) -> int: ...

    def update(
        self, task: int, *, completed: float | None = None, total: float | None = None, description: str | None = None
    ) -> None: ...


class _Unseen:
    def add_task(self, description: str, total: float | None = None) -> int:
        return 0

    def update(
        self, task: int, *, completed: float | None = None, total: float | None = None, description: str | None = None
    ) -> None:
        pass


@contextmanager
def progress(as_json: bool, bar: Literal["count", "share"] | None = "count") -> Iterator[Progress]:
    """On standard error. `bar`: beside what is done, how many of how many, or how much of it; None: the words alone."""
    if as_json or not sys.stderr.isatty():
        yield _Unseen()
        return
    from gateway.cli.common.drawing import drawn

    with drawn(bar) as found:
        yield found
