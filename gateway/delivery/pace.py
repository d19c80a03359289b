"""Limits how fast the queue calls a system, and begins slowly when a system has come back.

    rate(t) = min(full, start * 2 ** (t / doubling)),  t: seconds since it came back

A system gets at most one second's worth of messages at once (a token bucket). So a system that was away for a day is
not flooded with a day's messages.
Invariant: no state besides its fields; the clock is an argument. A clock that is set back adds no room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

LONGEST: Final = 40.0  # doublings: no rate is larger


@dataclass(frozen=True, slots=True)
class Pace:
    """Messages a second."""

    full: float = 100.0
    start: float = 4.0
    doubling: float = 5.0  # seconds


STANDARD: Final = Pace()


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float
    back: float | None = None  # when it came back


@dataclass(slots=True)
class Paces:
    """One bucket for each system."""

    pace: Pace = STANDARD
    full_of: Callable[[str], float | None] = lambda _system: None  # the full rate of a system, if it has its own
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def back(self, system: str, now: float) -> None:
        """The system answers again."""
        self._buckets[system] = _Bucket(min(self.pace.start, self._full(system)), now, now)

    def room(self, system: str, now: float) -> int:
        """How many messages may go to it now."""
        bucket = self._buckets.get(system)
        return max(1, int(self._full(system))) if bucket is None else int(self._filled(system, bucket, now).left)

    def took(self, system: str, number: int, now: float) -> None:
        bucket = self._buckets.get(system)
        if bucket is None:
            bucket = self._buckets[system] = _Bucket(max(1.0, self._full(system)), now)
        self._filled(system, bucket, now).left -= number

    def forget(self, now: float) -> None:
        """Forgets the buckets that are full again: they allow what a new one does."""
        for system, bucket in list(self._buckets.items()):
            full = self._full(system)
            if self._filled(system, bucket, now).left >= max(1.0, full) and self._rate(system, bucket, now) >= full:
                del self._buckets[system]

    def _full(self, system: str) -> float:
        return self.full_of(system) or self.pace.full

    def _rate(self, system: str, bucket: _Bucket, now: float) -> float:
        full = self._full(system)
        if bucket.back is None:
            return full
        doublings = min(max(0.0, now - bucket.back) / self.pace.doubling, LONGEST)
        return float(min(full, self.pace.start * 2.0**doublings))

    def _filled(self, system: str, bucket: _Bucket, now: float) -> _Bucket:
        rate = self._rate(system, bucket, now)
        bucket.left = min(max(1.0, rate), bucket.left + rate * max(0.0, now - bucket.at))
        bucket.at = now
        return bucket
