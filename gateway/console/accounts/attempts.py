"""Counts failed attempts to sign in, in the desk's memory: what the log gets of a flood, and names that nobody has.

The first failures of a source within a quarter of an hour are entries of their own, as are the first of all sources
together. Of the rest there is an entry at each power of ten, with the number so far. So nobody can fill the log.
A name without an account is locked as one with an account. So a lock does not tell which accounts there are.
Invariant: memory is bounded, however many sources and names there are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from gateway.exchange.floods import block_of

FREE: Final = 5  # failures before an account is locked
SINGLE: Final = 20  # entries of one source
SINGLE_ALL: Final = 500  # entries of all sources
WINDOW: Final = 900.0
MOST: Final = 10_000  # sources, and names, in memory
FORGOTTEN: Final = 600.0  # seconds after which one failure counts no more
_FIRST: Final = 30.0
_MOST: Final = 900.0
_ALL: Final = ""


def after_failure(failed: int, locked: float | None, now: float) -> tuple[int, float]:
    """The count with one failure more, and until when it locks: `now` if it does not.

    The time of the failure before follows from its lock. Since then one failure is forgotten every ten minutes, so that
    a stranger who goes on keeps nobody out for long.
    """
    past = 0.0 if locked is None else max(0.0, now - (locked - _lasting(failed)))
    left = max(0, failed - int(past // FORGOTTEN)) + 1
    return left, now + _lasting(left)


def _lasting(failed: int) -> float:
    return 0.0 if failed < FREE else min(_MOST, _FIRST * 2.0 ** min(failed - FREE, 10))


@dataclass(slots=True)
class Attempts:
    """Of one desk. It may be used by several threads."""

    _began: float = float("-inf")
    _counts: dict[str, int] = field(default_factory=dict)
    _names: OrderedDict[str, tuple[int, float | None]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def entry_for(self, source: str, now: float) -> int | None:
        """Counts a failure. How many failures its entry stands for: 1, or all of this source so far; None: no entry."""
        with self._lock:
            if not 0 <= now - self._began < WINDOW:
                self._began, self._counts = now, {}
            block = block_of(source)
            if block not in self._counts and len(self._counts) >= MOST:
                block = _ALL
            mine = self._counts[block] = self._counts.get(block, 0) + 1
            if mine > SINGLE:
                return mine if _is_power_of_ten(mine) else None
            if block == _ALL:
                return None
            every = self._counts[_ALL] = self._counts.get(_ALL, 0) + 1
            return 1 if every <= SINGLE_ALL else every if _is_power_of_ten(every) else None

    def fail_unknown(self, name: str, now: float) -> float | None:
        """Counts a failure of a name that has no account. Until when it is locked; None: it was not, as of now."""
        with self._lock:
            failed, locked = self._names.pop(name, (0, None))
            if locked is None or now >= locked:
                self._names[name] = after_failure(failed, locked, now)
                locked = None
            else:
                self._names[name] = failed, locked
            while len(self._names) > MOST:
                self._names.popitem(last=False)
            return locked

    def locked(self, name: str, now: float) -> bool:
        """Whether a name that has no account is locked."""
        with self._lock:
            _, locked = self._names.get(name, (0, None))
            return locked is not None and now < locked


def _is_power_of_ten(number: int) -> bool:
    return str(number).strip("0") == "1"
