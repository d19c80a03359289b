"""Breaks the circuit to a failing system: calls stop for a while, then one call probes it.

    closed --(n failures in a row)--> open --(rest over)--> half-open --(success)--> closed
                                        ^--------------------(failure)-----'   and the rest grows, up to a cap

The rest ends early for an unreachable system that accepts connections again (`listens`).
Invariant: no state besides its fields; the clock is an argument.
Invariant: while half-open, at most one call is out. A probe that does not report back counts as lost after a rest.
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
SANDBOX: Final = Rules(rest=1.0, longest=3.0)  # who breaks a system on purpose sees it recover while he looks


def rules_for(kind: str) -> Rules:
    """The rules of an instance of this kind: `sandbox` or `production`."""
    return SANDBOX if kind == "sandbox" else STANDARD


@dataclass(slots=True)
class Breaker:
    rules: Rules = STANDARD
    _failures: int = 0
    _rest: float = 0.0
    _until: float = 0.0
    _probe: float | None = None  # when the single call of a half-open breaker went out
    _unreachable: bool = False  # the last failure: no connection

    def position(self, now: float) -> Position:
        if self._rest == 0.0:
            return Position.CLOSED
        return Position.OPEN if now < self._until else Position.HALF_OPEN

    def wait(self, now: float) -> float:
        """Seconds until a call may go; 0 if it may go now. Does not take the probe."""
        position = self.position(now)
        if position is Position.CLOSED:
            return 0.0
        if position is Position.OPEN:
            return self._until - now
        if self._probe is not None and now < self._probe + self._rest:
            return self._probe + self._rest - now
        return 0.0

    def admit(self, now: float) -> float:
        """As `wait`, but takes the probe of a half-open breaker. A caller that gets 0 must report back."""
        left = self.wait(now)
        if left == 0.0 and self._rest:
            self._probe = now
        return left

    def succeeded(self) -> None:
        self._failures, self._rest, self._until, self._probe, self._unreachable = 0, 0.0, 0.0, None, False

    def listens(self, now: float) -> None:
        """The system accepts connections: a rest because it was unreachable is over. A call must still prove its
        health.
        """
        if self._unreachable:
            self._until = min(self._until, now)

    def abandoned(self) -> None:
        """The call ended without a result about the system's health. Another call may probe."""
        self._probe = None

    def failed(self, now: float, *, unreachable: bool = False) -> None:
        if self._rest and self._probe is None:
            return  # a call sent before the breaker opened
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
    """One breaker for each system."""

    rules: Rules = STANDARD
    _by_system: dict[str, Breaker] = field(default_factory=dict)

    def of(self, system: str) -> Breaker:
        breaker = self._by_system.get(system)
        if breaker is None:
            breaker = self._by_system[system] = Breaker(self.rules)
        return breaker

    def positions(self, now: float) -> dict[str, Position]:
        return {system: breaker.position(now) for system, breaker in self._by_system.items()}
