"""The processor time that proving a contract may take, and what took it.

The clock is the caller's: this package reads none. Without one nothing is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from contracts.base.errors import Finding

SECONDS: Final = 120.0  # a contract of the catalogue takes a few
_SHOWN: Final = 5


class Exhausted(Exception):
    """The time is used up. Only `check` catches it."""


@dataclass(slots=True)
class Budget:
    """`clock` gives seconds of processor time. `spent` has those of each step."""

    clock: Callable[[], float]
    seconds: float = SECONDS
    spent: dict[str, float] = field(default_factory=dict)
    _last: float | None = None
    _step: str = ""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Counts what is done within it to `name`. Raises Exhausted at its end."""
        outer, self._step = self._step, name
        self._last = self.clock() if self._last is None else self._last
        try:
            yield
            self.spend()
        finally:
            self._step = outer

    def spend(self) -> None:
        """Counts the time since the last call. Raises Exhausted where all is used up; loops call it in each turn."""
        now = self.clock()
        self.spent[self._step] = self.spent.get(self._step, 0.0) + now - (now if self._last is None else self._last)
        self._last = now
        if sum(self.spent.values()) > self.seconds:
            raise Exhausted

    def finding(self) -> Finding:
        """What took the time, the longest first."""
        longest = sorted(self.spent.items(), key=lambda each: -each[1])[:_SHOWN]
        told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in longest)
        got = f"more than {self.seconds:g} seconds of processor time: {told}"
        return Finding("", "", got, "budget", "smaller types, tables or samples")
