"""A circuit breaker a system: after failures in a row the system is left alone for a while, then tried with a single
call.

    closed --(n failures in a row)--> open --(rest over)--> half-open --(success)--> closed
                                        ^--------------------(failure)-----'   and the rest grows, up to a cap

A rest ends early for a system that could not be reached and now takes connections again (`listens`); one that answers
badly rests to the end. Invariants: pure but for its own fields, with the clock handed in; while half-open at most one
call is out; a probe that never reports back does not block for ever (it is counted as lost after a rest).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Position(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Rules:
    failures: int = 5  # in a row, until it opens
    rest: float = 5.0  # seconds, the first time
    growth: float = 2.0
    longest: float = 60.0


STANDARD: Final = Rules()


@dataclass(slots=True)
class Breaker:
    rules: Rules = STANDARD
    _failures: int = 0
    _rest: float = 0.0
    _until: float = 0.0
    _probe: float | None = None  # when the single call of a half-open breaker went out
    _unreachable: bool = False  # the last failure was that no connection came about

    def position(self, now: float) -> Position:
        if self._rest == 0.0:
            return Position.CLOSED
        return Position.OPEN if now < self._until else Position.HALF_OPEN

    def wait(self, now: float) -> float:
        """Seconds until a call may go; 0 if it may go now. Does not take the probe."""
        where = self.position(now)
        if where is Position.CLOSED:
            return 0.0
        if where is Position.OPEN:
            return self._until - now
        if self._probe is not None and now < self._probe + self._rest:
            return self._probe + self._rest - now
        return 0.0

    def admit(self, now: float) -> float:
        """As `wait`, and takes the probe if the breaker is half-open: whoever gets 0 must report back."""
        left = self.wait(now)
        if left == 0.0 and self._rest:
            self._probe = now
        return left

    def succeeded(self) -> None:
        self._failures, self._rest, self._until, self._probe, self._unreachable = 0, 0.0, 0.0, None, False

    def listens(self, now: float) -> None:
        """The system takes connections: if it rested since it did not, its rest is over. Whether it is well, a call
        must show."""
        if self._unreachable:
            self._until = min(self._until, now)

    def abandoned(self) -> None:
        """The call ended without saying anything of the system's health; another may probe."""
        self._probe = None

    def failed(self, now: float, *, unreachable: bool = False) -> None:
        if self._rest and self._probe is None:
            return  # a call that went out before it opened: it says nothing new
        self._unreachable = unreachable
        if self._rest:
            self._rest = min(self._rest * self.rules.growth, self.rules.longest)
        else:
            self._failures += 1
            if self._failures < self.rules.failures:
                return
            self._rest = self.rules.rest
        self._until, self._probe = now + self._rest, None


@dataclass(slots=True)
class Breakers:
    """One breaker a system, made when first needed."""

    rules: Rules = STANDARD
    _by_system: dict[str, Breaker] = field(default_factory=dict)

    def of(self, system: str) -> Breaker:
        found = self._by_system.get(system)
        if found is None:
            found = self._by_system[system] = Breaker(self.rules)
        return found

    def positions(self, now: float) -> dict[str, Position]:
        return {system: breaker.position(now) for system, breaker in self._by_system.items()}
