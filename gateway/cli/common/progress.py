"""How far a long command has come: drawn for a person at a terminal, as lines for a program that asks for them.

What draws it is not loaded for anybody else.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, Protocol

_SECONDS: Final = 1.0  # between two lines


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


class _Lines:
    """One JSON object a line on standard error, at most one a second: `{"task": …, "done": …}`."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._next = 0.0

    def add_task(self, description: str, total: float | None = None) -> int:
        self._names.append(description)
        self._next = 0.0
        self.update(len(self._names) - 1, completed=0)
        return len(self._names) - 1

    def update(
        self, task: int, *, completed: float | None = None, total: float | None = None, description: str | None = None
    ) -> None:
        now = time.monotonic()
        if completed is not None and now >= self._next:
            self._next = now + _SECONDS
            print(json.dumps({"task": self._names[task], "done": int(completed)}), file=sys.stderr, flush=True)


@contextmanager
def progress(as_json: bool, bar: Literal["count", "share"] | None = "count") -> Iterator[Progress]:
    """On standard error. `bar`: beside what is done, how many of how many, or how much of it; None: the words alone."""
    if as_json and os.environ.get("LGSP_PROGRESS") == "lines":
        yield _Lines()
        return
    if as_json or not sys.stderr.isatty():
        yield _Unseen()
        return
    from gateway.cli.common.drawing import drawn

    with drawn(bar) as found:
        yield found


@contextmanager
def shares(as_json: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each part of the work: what it is, how much of it is done, of how much."""
    with progress(as_json, "share") as shown:
        tasks: dict[str, int] = {}

        def tick(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done, total=total)

        yield tick
