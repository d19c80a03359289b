"""When a queued message is tried again: exponential back-off with full jitter, a cap in tries and in time.

The arithmetic is tenacity's (`wait_exponential`; full jitter as in its `wait_random_exponential`), the dice are handed in. Invariant: a
pure function; the same arguments and dice give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

import tenacity

_STATE: Final = tenacity.Retrying()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    first: float = 2.0  # seconds: the widest first wait
    longest: float = 300.0  # no wait is longer
    tries: int = 60
    seconds: float = 3 * 86400.0  # after which it is given up, however few the tries
    least: float = 0.2  # no wait is shorter: full jitter may roll zero

    def next_try(
        self, tries: int, first_at: float, now: float, rng: Random, *, retry_after: float | None = None
    ) -> float | None:
        """The time of the next try after `tries` that failed; None to give up. A provider's Retry-After is heeded, within the caps."""
        if tries >= self.tries:
            return None
        state = tenacity.RetryCallState(_STATE, None, (), {})
        state.attempt_number = max(1, tries)
        widest = float(tenacity.wait_exponential(multiplier=self.first, max=self.longest)(state))
        wait = max(self.least, rng.uniform(0.0, widest))
        if retry_after is not None:
            wait = max(wait, min(retry_after, self.longest))
        at = now + wait
        return at if at < first_at + self.seconds else None


STANDARD: Final = RetryPolicy()
