"""Computes when a queued message is tried again: exponential back-off with full jitter, capped in tries and time.

The formula is tenacity's (`wait_exponential`, jitter as in `wait_random_exponential`).
Invariant: a pure function of its arguments and the random generator.
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
    seconds: float = 3 * 86400.0  # then it is given up, after any number of tries
    least: float = 0.2  # the shortest wait

    def next_try(
        self, tries: int, first_at: float, now: float, rng: Random, *, retry_after: float | None = None
    ) -> float | None:
        """The time of the next try after `tries` failures; None to give up. Obeys Retry-After within the caps."""
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
ASKED: Final = 3600.0  # seconds after which an unanswered query is given up: nobody waits for its answer any more
