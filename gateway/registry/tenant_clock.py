"""The clock of a tenant: how far it is ahead of real time, and since when.

A vendor moves the clock of her own tenant forward to see deadlines, expiry and retries. Sequencer, checkpoints, TLS,
limits of the instance and everybody else stay on real time.
Invariant: a clock is never behind real time, and never more than `MOST` ahead.
Invariant: only an agency that is a tenant has one (`of`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from gateway.registry.tenants import is_tenant

MOST: Final = 400 * 86_400  # seconds ahead
KEPT: Final = 50  # moves that are known; older ones are forgotten


@dataclass(frozen=True, slots=True)
class TenantClock:
    """`moves`: (Unix second, seconds ahead from then on), oldest first."""

    moves: tuple[tuple[int, int], ...] = ()

    @property
    def ahead(self) -> int:
        """Seconds."""
        return self.moves[-1][1] if self.moves else 0

    def ahead_at(self, at: float) -> int:
        """Seconds ahead at a real time."""
        return next((ahead for moved, ahead in reversed(self.moves) if moved <= at), 0)

    def since(self, at: float) -> int:
        """By how many seconds more than real time the clock went on since a real time; 0 after it was set back."""
        return max(0, self.ahead - self.ahead_at(at))

    def moved(self, at: float, ahead: int) -> TenantClock:
        """The clock that is that many seconds ahead from now on."""
        if not 0 <= ahead <= MOST:
            raise ValueError(f"0 to {MOST} seconds ahead")
        return TenantClock((*self.moves, (int(at), ahead))[-KEPT:])

    def text(self) -> str:
        """As the registry keeps it."""
        return json.dumps(self.moves, separators=(",", ":"))


REAL: Final = TenantClock()


def of(agency: str, text: Any) -> TenantClock:
    """The clock of an agency by its column. Raises ValueError for what no instance wrote."""
    if text is None or not is_tenant(agency):
        return REAL
    moves = tuple((int(at), int(ahead)) for at, ahead in json.loads(text))
    if not all(0 <= ahead <= MOST for _, ahead in moves):
        raise ValueError(f"the clock of {agency}")
    return TenantClock(moves)
